import type pg from "pg";
import type { BatchFilter, BatchSummary } from "../../domain/views/batch.ts";
import type { Page, PageRequest } from "../../domain/page.ts";
import { UserError } from "../../lib/errors.ts";
import { batchStateSql, isThereSql, summaryColumnsSql, toSummary, type SummaryRow } from "./batch-sql.ts";

/** The condition that these states share is that of an index: they are not sought among all that are done. */
const undoneSql = `(b.finished_at is null or b.cancelled_at is not null)`;

/** The newest of each instance, and of these the newest. */
function toSql({ states, withRefreshes }: BatchFilter): string {
  const conditions = [
    `b.instance_id = i.id`,
    isThereSql,
    `($1::bigint is null or (b.requested_at, b.id) < (${toMoment("$1::bigint")}, $2::uuid))`,
    `($5::text[] is null or ${batchStateSql} = any ($5))`,
  ];
  if (!withRefreshes) conditions.push(`b.source <> 'refresh'`);
  if (states && !states.includes("done")) conditions.push(undoneSql);
  return `
    select n.*, (extract(epoch from n.requested_at) * 1000000)::bigint as micros
    from (select id from avatars.instances where $4::text[] is null or id = any ($4)) i
    cross join lateral (
      select ${summaryColumnsSql} from avatars.batches b where ${conditions.join(" and ")}
      order by b.requested_at desc, b.id desc limit $3
    ) n
    order by n.requested_at desc, n.id desc limit $3`;
}

/** Exact, which a number of seconds is not. */
function toMoment(micros: string): string {
  return `'epoch'::timestamptz + ${micros} / 1000000 * interval '1 s' + ${micros} % 1000000 * interval '1 us'`;
}

/** Newest first. */
export async function listBatches(
  pool: pg.Pool,
  filter: BatchFilter,
  { after, limit }: PageRequest,
): Promise<Page<BatchSummary>> {
  const [micros, id] = parseCursor(after);
  const { rows } = await pool.query<SummaryRow & { micros: string }>(toSql(filter), [
    micros,
    id,
    limit + 1,
    filter.instanceIds ?? null,
    filter.states ?? null,
  ]);
  const items = rows.slice(0, limit);
  const last = rows.length > limit ? items.at(-1) : undefined;
  return { items: items.map(toSummary), next: last && `${last.micros}_${last.id}` };
}

/** When the last batch of the page before was asked for, in µs, and its id. */
function parseCursor(after: string | undefined): [string | null, string | null] {
  if (after === undefined) return [null, null];
  const [, micros, id] = /^(\d{1,16})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(after) ?? [];
  if (micros === undefined || id === undefined)
    throw new UserError("invalid-cursor", "not a cursor of a list of batches");
  return [micros, id];
}
