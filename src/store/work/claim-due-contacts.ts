import type pg from "pg";
import type { ChatId } from "../../domain/chat-id.ts";
import type { ClaimedContact, ClaimResult } from "../../domain/lookup/claim.ts";
import type { ContactStatus } from "../../domain/contact-status.ts";
import type { ClaimRequest } from "../../domain/ledger/run-ledger.ts";
import { toAsideIds, toNotAside, toUnclaimed } from "./due-sql.ts";
import type { PaceSettings } from "./pace-settings.ts";
import { toPaceColumns, toReservation, toSlotColumns } from "./slots-sql.ts";

/** Leaves out contacts that no run may claim though they are due. Their ids are computed once, and are nearly always none. */
const notAside = toNotAside("(select ids from aside)::bigint[]");

/**
 * The heads of one of the two queues that each priority has. Contacts in a backoff, or back from it, go by `due_at`. Contacts
 * that wait for their first lookup go by turns; all of them are due. The conditions are those of the partial indexes. Each is
 * walked in its order, no further than needed, past rows that another transaction has locked.
 */
function toHeads(isTurned: boolean): string {
  const [condition, order] = isTurned
    ? ["c.turn is not null", "c.turn, c.id"]
    : ["c.turn is null and c.due_at <= i.clock", "c.due_at, c.id"];
  return `
  select c.*, p.priority from instance i
  cross join (values (0), (1), (2)) as p (priority)
  cross join lateral (
    select c.id, c.turn, c.due_at from avatars.contacts c
    where c.instance_id = $1 and c.priority = p.priority and ${condition}
      and ${toUnclaimed("now()")} and ${notAside}
    order by ${order}
    limit i.size
    for no key update skip locked
  ) c`;
}

/** How far the turns of a priority have come with this claim. The chats that a spent quota leaves were asked out of turn. */
function toNextTurn(priority: number): string {
  return `greatest(i.turns[${priority + 1}], (
      select max(turn) from claimed where priority = ${priority} and id not in (select id from allowed)))`;
}

/**
 * The statement locks the instance's row, claims its due contacts in order, and reserves a call slot for each. Two runs of
 * one instance, by accident or as a zombie, queue up there and share its budget (I3).
 *
 * - `for no key update` leaves inserting contacts free: their foreign key takes a key-share lock.
 * - A share of the claimed contacts are those that have been due for longest, whatever their priority: nothing starves. In the
 *   long run it is exactly the share that is set.
 * - A claim has run out when it had before the statement began (`now()`): due-sql.ts says why.
 * - A spent quota of correspondents leaves the chats that the provider has named.
 * - Slots that follow those of another lane keep a gap. Calls that it sends late, within its tolerance, cannot meet ours in
 *   one second.
 *
 * The parameters:
 *
 * | parameter | what                                                                    |
 * | --------- | ----------------------------------------------------------------------- |
 * | `$1`      | the instance                                                            |
 * | `$2`      | the run that claims                                                     |
 * | `$3`      | the lane that reserves the slots                                        |
 * | `$4`      | contacts at most                                                        |
 * | `$5`      | how long the claim lasts, ms                                            |
 * | `$6`      | calls per second of instances that set none                             |
 * | `$7`      | the share, 0 to 1, that is of those that have been due for longest      |
 * | `$8`      | no more than may be called for in this time, ms; null: no such bound    |
 * | `$9`      | uniform in [0, 1): rounds the share of a small claim up or down         |
 */
const sql = `
with
-- Contacts of which a record, or a claim, is put aside.
aside as materialized (
  select ${toAsideIds("$1")} as ids
),
-- The instance's row: runs of one instance come one after the other from here on.
locked as materialized (
  select * from avatars.instances where id = $1 for no key update
),
-- Pace, refusal, how many contacts to take, and how many of them by age. Computed when the row is locked: other runs may have
-- changed it during the wait. A probe goes by age: the contact whose probe failed last is not the oldest.
instance as materialized (
  select i.*, r.*, p.rate, p.margin, n.room, s.size,
    case when r.probing then 1 else floor(s.size * $7::float8 + $9::float8)::int end as favoured
  from (select *, clock_timestamp() as clock from locked) i
  cross join lateral (select ${toPaceColumns("$6")}) p
  cross join lateral (
    select i.state = 'held' and i.held_until <= i.clock as probing, i.state = 'held' and i.held_until > i.clock as restricted,
      case when i.state = 'paused' then 'paused'
        when i.state = 'held' and i.held_until > i.clock and i.allowed_chat_ids is null then 'held'
        when i.throttled_until > i.clock then 'throttled' end as refusal
  ) r
  cross join lateral (
    select least($4::int, case when $8::float8 is not null then greatest(1, ceil(p.rate * $8 / 1000)) end)::int as room
  ) n
  cross join lateral (
    select case when r.refusal is not null or r.restricted then 0 when r.probing then least(1, n.room) else n.room end as size
  ) s
),
-- Candidates back from a backoff.
retries as materialized (${toHeads(false)}
),
-- Candidates for their first lookup.
turned as materialized (${toHeads(true)}
),
-- Candidates of an instance that is held for a spent quota: due ones among the chats that it allows.
allowed as materialized (
  select c.id from avatars.contacts c
  where c.instance_id = $1
    and c.chat_id = any ((select allowed_chat_ids from instance where restricted and refusal is null)::text[])
    and c.due_at <= (select clock from instance) and ${toUnclaimed("now()")} and ${notAside}
  order by c.priority, c.due_at
  limit (select room from instance)
  for no key update skip locked
),
-- The choice: first the oldest, as many as are favoured; then by priority, retries before turns.
due as (
  select id from (
    select *, row_number() over (order by due_at, priority, turn nulls first, id) as age,
      case when turn is null then due_at end as retry_at
    from (select * from retries union all select * from turned) heads
  ) h
  order by age > (select favoured from instance), priority, turn nulls first, retry_at, id
  limit (select size from instance)
),
-- The claim. As an array: a join would have the planner, which cannot know the limits, read the whole table.
claimed as (
  update avatars.contacts c
  set claimed_by = $2, claimed_until = i.clock + $5::float8 * interval '1 ms'
  from instance i
  where c.id = any (array(select id from due union all select id from allowed))
  returning c.id, c.chat_id, c.attempts, c.priority, c.due_at, c.turn, c.status, c.refresh_at, c.refresh_step
),
-- The first free slot, and how far slots are apart.
slots as materialized (
  select i.id, i.margin, (select count(*) from claimed) as calls, ${toSlotColumns("$3")}
  from instance i
),
-- A slot for each claimed contact, and where new batches begin to share.
reserved as (
  update avatars.instances i
  set ${toReservation("s.calls", "$3")}, turns = array[${[0, 1, 2].map(toNextTurn).join(", ")}]
  from slots s
  where i.id = s.id and s.calls > 0
)
select i.refusal, i.restricted, i.api_url, i.sealed_token, i.rate, i.margin, i.max_in_flight, i.probing,
  s.calls::int as calls, s.spacing_ms,
  extract(epoch from s.slots_from)::float8 * 1000 as slots_from_ms,
  extract(epoch from clock_timestamp())::float8 * 1000 as now_ms,
  (select json_agg(json_build_array(c.id, c.chat_id, c.attempts, c.status, case when c.refresh_at is not null then c.refresh_step end,
      extract(epoch from a.first_seen_at)::float8 * 1000, a.changes, a.version)
      order by c.priority, c.turn nulls first, case when c.turn is null then c.due_at end, c.id)
    from claimed c
    -- Probes once for each: a planner without statistics would rather read all avatars.
    left join lateral (
      select a.first_seen_at, a.changes, a.version from avatars.avatars a where a.contact_id = c.id offset 0
    ) a on true) as contacts
from instance i, slots s`;

interface Row {
  refusal: "held" | "throttled" | "paused" | null;
  restricted: boolean;
  api_url: string;
  sealed_token: string;
  rate: number;
  margin: number;
  max_in_flight: number | null;
  probing: boolean;
  calls: number;
  spacing_ms: number;
  slots_from_ms: number;
  now_ms: number;
  contacts: ContactCells[] | null;
}

type ContactCells = [
  id: number,
  chatId: string,
  attempts: number,
  status: ContactStatus,
  refreshStep: number | null,
  firstSeenAtMs: number | null,
  changes: number | null,
  version: string | null,
];

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
      settings.oldestShare,
      request.windowMs ?? null,
      settings.random(),
    ],
  });
  const row = rows[0];
  if (row === undefined) return { kind: "gone" };
  if (row.refusal !== null) return { kind: row.refusal };
  if (row.contacts === null && request.limit > 0) return { kind: row.restricted ? "held" : "idle" };
  return { kind: "claimed", claim: toClaim(row) };
}

function toClaim(row: Row): Extract<ClaimResult, { kind: "claimed" }>["claim"] {
  return {
    instance: {
      apiUrl: row.api_url,
      sealedToken: row.sealed_token,
      requestsPerSecond: row.rate,
      marginMs: row.margin,
      maxInFlight: row.max_in_flight ?? undefined,
      probing: row.probing,
    },
    contacts: (row.contacts ?? []).map(toContact),
    slotsFromMs: row.slots_from_ms,
    slotsUntilMs: row.slots_from_ms + (row.calls - 1) * row.spacing_ms,
    databaseNowMs: row.now_ms,
  };
}

function toContact(cells: ContactCells): ClaimedContact {
  const [contactId, chatId, attempts, status, refreshStep, firstSeenAtMs, changes, version] = cells;
  return {
    contactId,
    chatId: chatId as ChatId,
    attempts,
    past: {
      status,
      firstSeenAt: firstSeenAtMs === null ? undefined : new Date(firstSeenAtMs),
      changes: changes ?? 0,
      version: version ?? undefined,
      refreshStep: refreshStep ?? undefined,
    },
  };
}
