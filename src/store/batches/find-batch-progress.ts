import type pg from "pg";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { BatchProgress } from "../../domain/views/batch-progress.ts";
import { isThereSql } from "./batch-sql.ts";
import { toFinished, toMemberCounts, type MemberCounts } from "./count-members-sql.ts";
import { isUuid } from "../../lib/uuid.ts";

interface Row {
  readonly instance_id: InstanceId;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly complete: boolean;
  readonly counts: MemberCounts;
  readonly fresh: number;
}

const sql = `
select b.instance_id, b.accepted, b.duplicates, b.rejected, b.completed_intake_at is not null as complete, m.counts, m.fresh
from avatars.batches b
cross join lateral ${toMemberCounts("$1")} m
where b.id = $1 and ${isThereSql}`;

/** How far the batch is; undefined where there is no such batch. */
export async function findBatchProgress(pool: pg.Pool, batchId: string): Promise<BatchProgress | undefined> {
  if (!isUuid(batchId)) return undefined;
  const { rows } = await pool.query<Row>(sql, [batchId]);
  const row = rows[0];
  return (
    row && {
      batchId,
      instanceId: row.instance_id,
      accepted: row.accepted,
      duplicates: row.duplicates,
      rejected: row.rejected,
      intakeComplete: row.complete,
      pending: row.counts.pending ?? 0,
      fresh: row.fresh,
      finished: toFinished(row.counts),
    }
  );
}
