import type { BatchState, BatchSummary } from "../../domain/views/batch.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { toShownText } from "../postgres/shown-text-sql.ts";

/** A condition on a batch `b`: it is not being removed (remove-old-batches.ts). */
export const isThereSql = `b.removing_at is null`;

/** The state of the batch `b`. */
export const batchStateSql = `case when b.cancelled_at is not null then 'cancelled'
    when b.completed_intake_at is null then 'incomplete'
    when b.finished_at is not null then 'done' else 'working' end`;

/**
 * A condition on a contact `c` and its batch `b`. A request no later than the batch waits for the contact, and no answer is
 * fresh enough for the batch.
 */
export const isWaitedForSql = `(c.wanted_at <= b.requested_at and not avatars.is_fresh(c, b.fresh_after))`;

/** A condition on both. This batch waits for the contact: it is not over, and has not seen the contact at rest before. */
export const isPendingSql = `(b.finished_at is null and b.cancelled_at is null and c.id > b.settled_through
    and coalesce(${isWaitedForSql}, false))`;

/**
 * A condition on a contact `c`: it has failed for good since it was last asked for. The status alone may be from an earlier
 * request. Asking for a contact sets its attempts to 0, and so does giving it up (give-up-members.ts).
 */
const hasFailedSql = `(c.status = 'unreachable' and c.attempts > 0)`;

/** The status of a contact `c` in the batch `b`: `pending`, `cancelled`, or the contact's own status now. */
export const memberStatusSql = `case when ${isPendingSql} then 'pending'
    when b.cancelled_at is not null and not avatars.is_fresh(c, b.fresh_after) and not ${hasFailedSql} then 'cancelled'
    else c.status end`;

/** Columns of a select from a batch `b`, for {@link toSummary}. */
export const summaryColumnsSql = `b.id, b.instance_id, ${batchStateSql} as batch_state, b.source, ${toShownText("b.label")} as label, b.priority,
  b.callback_url, b.requested_at, b.fresh_after, b.accepted, b.duplicates, b.rejected, b.completed_intake_at,
  b.finished_at, b.cancelled_at`;

export interface SummaryRow {
  readonly id: string;
  readonly instance_id: InstanceId;
  readonly batch_state: BatchState;
  readonly source: string;
  readonly label: string | null;
  readonly priority: number;
  readonly callback_url: string | null;
  readonly requested_at: Date;
  readonly fresh_after: Date;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly completed_intake_at: Date | null;
  readonly finished_at: Date | null;
  readonly cancelled_at: Date | null;
}

export function toSummary(row: SummaryRow): BatchSummary {
  return {
    batchId: row.id,
    instanceId: row.instance_id,
    state: row.batch_state,
    source: row.source,
    label: row.label ?? undefined,
    priority: row.priority,
    callbackUrl: row.callback_url ?? undefined,
    requestedAt: row.requested_at,
    freshAfter: row.fresh_after,
    accepted: row.accepted,
    duplicates: row.duplicates,
    rejected: row.rejected,
    completedIntakeAt: row.completed_intake_at ?? undefined,
    finishedAt: row.finished_at ?? undefined,
    cancelledAt: row.cancelled_at ?? undefined,
  };
}
