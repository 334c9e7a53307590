import type pg from "pg";
import type { ChatId } from "../domain/chat-id.ts";
import type { ClaimResult } from "../domain/claim.ts";
import type { ClaimRequest } from "../domain/ledger.ts";
import { clockErrorMs, slotToleranceMs } from "../domain/pacer.ts";
import type { PaceSettings } from "./pace-settings.ts";
import { toSlotColumns } from "./slots-sql.ts";

/**
 * One statement: lock the instance's row, take its due contacts in order, claim them, and reserve a call
 * slot for each. Two runs for one instance, by accident or as a zombie, queue up at the row and share one
 * budget (I3).
 *
 * - `for no key update` leaves inserting contacts free: their foreign key takes a key-share lock.
 * - One index scan per priority: each stops at the limit, where a single scan over all of them would walk
 *   through every contact that waits for its backoff.
 * - Slots that follow those of another lane keep a gap, so that calls which that lane sends late within its
 *   tolerance cannot meet ours in one second.
 */
const sql = `
with instance as materialized (
  select i.*, coalesce(i.requests_per_second, $6::real)::float8 as rate,
    i.state = 'held' as probing,
    case when i.state = 'paused' then 'paused'
      when i.state = 'held' and i.held_until > clock_timestamp() then 'held' end as refusal,
    clock_timestamp() as clock
  from avatars.instances i where i.id = $1
  for no key update
), due as materialized (
  select c.id
  from instance i
  cross join (values (0), (1), (2)) as p (priority)
  cross join lateral (
    select c.id, c.due_at from avatars.contacts c
    where c.instance_id = i.id and c.priority = p.priority and c.due_at <= i.clock
      and (c.claimed_until is null or c.claimed_until <= i.clock)
    order by c.due_at, c.id
    limit case when i.probing then 1 else $4::int end
    for no key update skip locked
  ) c
  where i.refusal is null
  order by p.priority, c.due_at, c.id
  limit (select case when probing then 1 else $4::int end from instance)
), claimed as (
  update avatars.contacts c
  set claimed_by = $2, claimed_until = i.clock + $5::float8 * interval '1 ms'
  from due, instance i
  where c.id = due.id
  returning c.id, c.chat_id, c.attempts, c.priority, c.due_at
), slots as materialized (
  select i.id, (select count(*) from claimed) as calls,
    ${toSlotColumns({ marginMs: "$7", laneId: "$3", laneGapMs: "$8" })}
  from instance i
), reserved as (
  update avatars.instances i
  set next_call_at = s.slots_from + s.calls * s.spacing_ms * interval '1 ms', paced_by = $3
  from slots s
  where i.id = s.id and s.calls > 0
)
select i.refusal, i.api_url, i.sealed_token, i.rate, i.max_in_flight, i.probing,
  s.calls::int as calls, s.spacing_ms,
  extract(epoch from s.slots_from)::float8 * 1000 as slots_from_ms,
  extract(epoch from clock_timestamp())::float8 * 1000 as now_ms,
  (select json_agg(json_build_array(id, chat_id, attempts) order by priority, due_at, id) from claimed) as contacts
from instance i, slots s`;

interface Row {
  refusal: "held" | "paused" | null;
  api_url: string;
  sealed_token: string;
  rate: number;
  max_in_flight: number | null;
  probing: boolean;
  calls: number;
  spacing_ms: number;
  slots_from_ms: number;
  now_ms: number;
  contacts: [number, string, number][] | null;
}

/** The gap to another lane's slots: its calls may be late by the tolerance, and so may be its idea of our clock. */
export const laneGapMs = 2 * slotToleranceMs + clockErrorMs;

/** See {@link RunLedger.claimDueContacts}. */
export async function claimDueContacts(
  pool: pg.Pool,
  settings: PaceSettings,
  request: ClaimRequest,
): Promise<ClaimResult> {
  const { rows } = await pool.query<Row>({
    name: "claim-due-contacts",
    text: sql,
    values: [
      request.instanceId,
      request.runId,
      request.laneId,
      request.limit,
      settings.claimLeaseMs,
      settings.requestsPerSecond,
      settings.marginMs,
      laneGapMs,
    ],
  });
  const row = rows[0];
  if (row === undefined) return { kind: "gone" };
  if (row.refusal !== null) return { kind: row.refusal };
  if (row.contacts === null) return { kind: "idle" };
  return {
    kind: "claimed",
    claim: {
      instance: {
        apiUrl: row.api_url,
        sealedToken: row.sealed_token,
        requestsPerSecond: row.rate,
        maxInFlight: row.max_in_flight ?? settings.maxInFlightFor(row.rate),
        probing: row.probing,
      },
      contacts: row.contacts.map(([contactId, chatId, attempts]) => ({
        contactId,
        chatId: chatId as ChatId,
        attempts,
      })),
      slotsFromMs: row.slots_from_ms,
      slotsUntilMs: row.slots_from_ms + (row.calls - 1) * row.spacing_ms,
      databaseNowMs: row.now_ms,
    },
  };
}
