import type pg from "pg";
import type { BatchHold, BatchReport } from "../../domain/views/batch.ts";
import type { ContactStatus } from "../../domain/contact-status.ts";
import { createSharedReads } from "../../lib/reads/shared-reads.ts";
import { estimateBatch } from "./batch-eta.ts";
import { isThereSql, summaryColumnsSql, toSummary, type SummaryRow } from "./batch-sql.ts";
import { toFinished, toMemberCounts, type MemberCounts } from "./count-members-sql.ts";
import { finishBatch } from "./finish-batches.ts";
import { isUuid } from "../../lib/uuid.ts";
import { livingActivitySql } from "../status/worker-activity.ts";

/**
 * The version changes when a report is wrong at once: with the batch's end, its cancellation, a retry. Not with each answer.
 */
const versionSql = `
select concat_ws(' ', b.id, b.completed_intake_at, coalesce(b.finished_at, 'infinity'), coalesce(b.cancelled_at, 'infinity'),
  case when b.completed_intake_at is not null then b.last_turn end) as version
from avatars.batches b where b.id = $1 and ${isThereSql}`;

const reportSql = `
select ${summaryColumnsSql}, m.counts, m.fresh, coalesce(a.calls_per_second, 0) as calls_per_second,
  case when i.state <> 'active' then i.state when i.throttled_until > clock_timestamp() then 'throttled' end as hold,
  i.held_reason, i.held_since, i.held_until, i.throttled_at, i.throttled_until
from avatars.batches b
join avatars.instances i on i.id = b.instance_id
left join (${livingActivitySql}) a on a.instance_id = b.instance_id
cross join lateral ${toMemberCounts("$1")} m
where b.id = $1 and ${isThereSql}`;

interface ReportRow extends SummaryRow {
  readonly counts: MemberCounts;
  readonly fresh: number;
  readonly calls_per_second: number;
  readonly hold: BatchHold["state"] | null;
  readonly held_reason: string | null;
  readonly held_since: Date | null;
  readonly held_until: Date | null;
  readonly throttled_at: Date | null;
  readonly throttled_until: Date | null;
}

/** Counting the members of one batch takes at most a tenth of the time, however many ask for it. */
const timeShare = 10;
const maxKeys = 1_000;

export type FindBatch = (batchId: string) => Promise<BatchReport | undefined>;

/**
 * Makes the reader of whole batches. Counting takes 1.5 s per million members. So a report may be as old as ten times the
 * time that it took. That is nothing for a small batch. A cancellation, a retry and the end of the input are always seen, in
 * all processes. A batch that is done is marked so.
 * @param options.defaultRate calls per second of instances that set none
 * @param options.now a monotonic clock, ms
 */
export function createFindBatch(
  pool: pg.Pool,
  { defaultRate, now }: { readonly defaultRate: number; readonly now: () => number },
): FindBatch {
  const read = createSharedReads<BatchReport | undefined>({ timeShare, maxKeys, now });
  return async (batchId) => {
    if (!isUuid(batchId)) return undefined;
    const { rows } = await pool.query<{ version: string }>(versionSql, [batchId]);
    if (rows[0] === undefined) return undefined;
    return read(rows[0].version, async () => readReport(pool, batchId, defaultRate));
  };
}

async function readReport(
  pool: pg.Pool,
  batchId: string,
  defaultRate: number,
): Promise<BatchReport | undefined> {
  const { rows } = await pool.query<ReportRow>(reportSql, [batchId]);
  const row = rows[0];
  if (row === undefined) return undefined;
  const report = toReport(row);
  if (report.pending > 0)
    return { ...report, etaMs: await estimateBatch(pool, batchId, defaultRate, report.pending) };
  if (report.state !== "working") return report;
  const finishedAt = await finishBatch(pool, batchId);
  return finishedAt ? { ...report, state: "done", finishedAt } : report;
}

function toReport(row: ReportRow): BatchReport {
  const { counts } = row;
  const pending = counts.pending ?? 0;
  const cancelled = counts.cancelled ?? 0;
  const finished = toFinished(counts);
  const answered = sum(finished);
  return {
    ...toSummary(row),
    pending,
    fresh: row.fresh,
    cancelled,
    // Erased contacts leave nothing, not even that they were members.
    erased: row.accepted - pending - cancelled - answered,
    finished,
    callsPerSecond: row.calls_per_second,
    etaMs: pending === 0 ? 0 : undefined,
    held: pending === 0 ? undefined : toHold(row),
  };
}

function sum(finished: Readonly<Record<ContactStatus, number>>): number {
  return Object.values(finished).reduce((total, members) => total + members, 0);
}

function toHold(row: ReportRow): BatchHold | undefined {
  const { instance_id: instanceId, hold: state } = row;
  if (state === null) return undefined;
  if (state === "paused") return { instanceId, state, reason: undefined, since: undefined, until: undefined };
  const [reason, since, until] =
    state === "held"
      ? [row.held_reason, row.held_since, row.held_until]
      : [null, row.throttled_at, row.throttled_until];
  return {
    instanceId,
    state,
    reason: reason ?? undefined,
    since: since ?? undefined,
    until: until ?? undefined,
  };
}
