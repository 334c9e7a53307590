import type pg from "pg";
import { contactStatuses, type ContactStatus } from "../domain/decide.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import type { BatchProgress } from "../domain/ledger.ts";

/** A member waits as long as its contact has a request that is as old as the batch, or older, open. */
const isPending = `coalesce(c.wanted_at <= b.requested_at, false)`;

/** How far the batch is; undefined where there is no such batch. */
export async function findBatchProgress(pool: pg.Pool, batchId: string): Promise<BatchProgress | undefined> {
  const { rows } = await pool.query<{
    instance_id: InstanceId;
    accepted: number;
    duplicates: number;
    rejected: number;
    complete: boolean;
    status: ContactStatus | "pending" | null;
    members: number | null;
    fresh: number | null;
  }>(
    `select b.instance_id, b.accepted, b.duplicates, b.rejected, b.completed_intake_at is not null as complete,
       m.status, m.members, m.fresh
     from avatars.batches b
     left join lateral (
       select case when ${isPending} then 'pending' else c.status end as status, count(*)::int as members,
         count(*) filter (where c.checked_at < b.requested_at)::int as fresh
       from avatars.batch_members m join avatars.contacts c on c.id = m.contact_id
       where m.batch_id = b.id group by 1
     ) m on true
     where b.id = $1`,
    [batchId],
  );
  const batch = rows[0];
  if (batch === undefined) return undefined;
  const counts = new Map(rows.map((row) => [row.status, row.members ?? 0]));
  const finished = Object.fromEntries(contactStatuses.map((status) => [status, counts.get(status) ?? 0]));
  return {
    batchId,
    instanceId: batch.instance_id,
    accepted: batch.accepted,
    duplicates: batch.duplicates,
    rejected: batch.rejected,
    intakeComplete: batch.complete,
    pending: counts.get("pending") ?? 0,
    fresh: rows.reduce(
      (sum, row) => sum + (row.status !== "pending" && row.status !== "unreachable" ? (row.fresh ?? 0) : 0),
      0,
    ),
    finished: finished as Record<ContactStatus, number>,
  };
}
