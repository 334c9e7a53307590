import type pg from "pg";
import { findStalledInstances } from "./find-due-instances.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import type { ContactStatus } from "../domain/decide.ts";

/** Where one instance stands. */
export interface InstanceStatus {
  readonly instanceId: InstanceId;
  readonly state: "active" | "held" | "paused";
  readonly heldReason: string | undefined;
  readonly heldUntil: Date | undefined;
  readonly requestsPerSecond: number | undefined;
  readonly contacts: Readonly<Record<ContactStatus, number>>;
  /** Due now and claimed by nobody. */
  readonly due: number;
  /** Waiting for their backoff. */
  readonly waiting: number;
  /** Claimed: waiting for their slot, or in flight. */
  readonly claimed: number;
  readonly oldestDueAt: Date | undefined;
  /** When a call slot was last reserved; in the future while the instance is worked on. */
  readonly nextCallAt: Date;
  /** Contacts are due, the instance may be called, and nobody has called it for two minutes. */
  readonly stalled: boolean;
}

const sql = `
select i.id as "instanceId", i.state, i.held_reason as "heldReason", i.held_until as "heldUntil",
  i.requests_per_second as "requestsPerSecond", i.next_call_at as "nextCallAt",
  coalesce(c.due, 0) as due, coalesce(c.waiting, 0) as waiting, coalesce(c.claimed, 0) as claimed,
  c.oldest_due_at as "oldestDueAt",
  json_build_object('present', coalesce(c.present, 0), 'absent', coalesce(c.absent, 0), 'hidden', coalesce(c.hidden, 0),
    'invalid', coalesce(c.invalid, 0), 'unreachable', coalesce(c.unreachable, 0), 'unknown', coalesce(c.unknown, 0)) as contacts
from avatars.instances i
left join (
  select instance_id,
    count(*) filter (where due_at <= now() and (claimed_until is null or claimed_until <= now()))::int as due,
    count(*) filter (where due_at > now())::int as waiting,
    count(*) filter (where claimed_until > now())::int as claimed,
    min(due_at) filter (where due_at <= now() and (claimed_until is null or claimed_until <= now())) as oldest_due_at,
    count(*) filter (where status = 'present')::int as present,
    count(*) filter (where status = 'absent')::int as absent,
    count(*) filter (where status = 'hidden')::int as hidden,
    count(*) filter (where status = 'invalid')::int as invalid,
    count(*) filter (where status = 'unreachable')::int as unreachable,
    count(*) filter (where status = 'unknown')::int as unknown
  from avatars.contacts group by instance_id
) c on c.instance_id = i.id
order by i.id`;

/** One pass over the contacts: for people and for checks, not for a hot path. */
export async function readStatus(pool: pg.Pool): Promise<InstanceStatus[]> {
  const { rows } = await pool.query<InstanceStatus>(sql);
  const stalled = new Set(await findStalledInstances(pool));
  return rows.map((row) => ({
    ...row,
    stalled: stalled.has(row.instanceId),
    heldReason: row.heldReason ?? undefined,
    heldUntil: row.state === "held" ? (row.heldUntil ?? undefined) : undefined,
    requestsPerSecond: row.requestsPerSecond ?? undefined,
    oldestDueAt: row.oldestDueAt ?? undefined,
  }));
}
