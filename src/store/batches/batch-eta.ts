import pg from "pg";
import { drainMs, type DrainFacts } from "../../domain/pace/drain-time.ts";
import { isWaitedForSql } from "./batch-sql.ts";
import { readCareFacts, toCareFacts, toCareState, type CareJson } from "../work/care-sql.ts";
import { toRate } from "../work/pace-sql.ts";
import { queryWithin } from "../postgres/query-within.ts";
import { livingActivitySql } from "../status/worker-activity.ts";

/**
 * A range of turns is looked at through so many windows, and in each of them at so many contacts. Each window is wider than
 * the one before: all batches have their next contacts at the beginning.
 */
const windows = 40;
const perWindow = 1_000;
/** Contacts back from a backoff are counted up to here; with more of them the time cannot be told. */
const mostRetries = 50_000;
/** Members that are looked up to see whether the batch waits at all. */
const mostMembers = 10_000;
const deadlineMs = 1_000;

/**
 * Counts the contacts that are called before the last one of the batch. That is all of a more urgent priority. Of its own
 * priority it is those without a turn, and those up to the batch's last turn. Rows of its own transaction are seen.
 *
 * The whole backlog would not do. Take 500,000 contacts that wait at 10 calls per second: that backlog takes 14 h. Batches
 * share by turns, so 10 more contacts of the same priority are done in 2 s. For 50,000 more it is 2.8 h against 15 h.
 *
 * An example. A batch's last turn is 1,000,000, and the first turn that waits is 1. The windows begin at the powers of
 * 1,000,000 ^ (1/40): at 1, 2, 3, 5, 7, 11 … 501,187 and 707,945. The first ones hold few contacts and are counted. The
 * window from 501,187 on may hold hundreds of thousands. Its first 1,000 contacts are read, and end at turn 501,687. That is
 * 2 contacts a turn, so the window's 206,758 turns count as some 413,500 contacts. So at most 40,000 entries of the index are
 * read, in 5 to 50 ms, however long the backlog is.
 */
const sql = `
with facts as materialized (
  select b.*, i.state, i.max_in_flight, ${toRate("i", "$2")} as rate, i.throttled_until,
    a.workers, a.calls_per_second, a.latency_ms, ${toCareFacts("q")} as care
  from avatars.batches b
  join avatars.instances i on i.id = b.instance_id
  cross join lateral ${toCareState("clock_timestamp()")} q
  left join (${livingActivitySql}) a on a.instance_id = b.instance_id
  where b.id = $1
), ranges as materialized (
  select b.instance_id, p.priority, low.turn as low, case when p.priority = b.priority then b.last_turn else (
      select c.turn from avatars.contacts c
      where c.instance_id = b.instance_id and c.priority = p.priority and c.turn is not null
      order by c.turn desc, c.id desc limit 1
    ) end as high
  from facts b
  cross join generate_series(0, b.priority) p (priority)
  cross join lateral (
    select c.turn from avatars.contacts c
    where c.instance_id = b.instance_id and c.priority = p.priority and c.turn is not null
    order by c.turn, c.id limit 1
  ) low
), views as materialized (
  select r.*, r.low + w.low as view_low, r.low + w.next_low as view_end
  from (select *, high - low + 1 as span from ranges where high >= low) r
  cross join generate_series(0, ${windows - 1}) k
  cross join lateral (
    select floor(power(r.span, k / ${windows}.0))::bigint - 1 as low, case when k = ${windows - 1} then r.span
      else floor(power(r.span, (k + 1) / ${windows}.0))::bigint - 1 end as next_low
  ) w
  where w.low < w.next_low
), counted as (
  -- The last turn of a window that is too full was read in part: it does not count.
  select case when n.contacts < ${perWindow} or n.last_turn = v.view_low then n.contacts
    else n.before_last * (v.view_end - v.view_low)::float8 / (n.last_turn - v.view_low) end as contacts
  from views v
  cross join lateral (
    select count(*) as contacts, max(turn) as last_turn, count(*) filter (where turn < last_turn) as before_last
    from (
      select turn, max(turn) over () as last_turn from (
        select c.turn from avatars.contacts c
        where c.instance_id = v.instance_id and c.priority = v.priority and c.turn is not null
          and c.turn >= v.view_low and c.turn < v.view_end
        order by c.turn, c.id limit ${perWindow}
      ) c
    ) c
  ) n
), retries as (
  select count(*) as contacts from (
    select from facts b
    join avatars.contacts c on c.instance_id = b.instance_id and c.priority <= b.priority
      and c.due_at is not null and c.turn is null
    limit ${mostRetries + 1}
  ) c
)
select b.state, b.care, b.rate as "requestsPerSecond", b.max_in_flight as "maxInFlight", b.latency_ms as "latencyMs",
  coalesce(b.workers, 0) as workers, coalesce(b.calls_per_second, 0) as "callsPerSecond",
  greatest(0, coalesce(extract(epoch from b.throttled_until - clock_timestamp()), 0))::float8 * 1000 as "waitMs",
  coalesce((select sum(contacts) from counted), 0)::float8 as turned, r.contacts::int as retries
from facts b, retries r`;

/** The members with the highest ids came to be known last: where a batch waits, it waits for these. */
const waitsSql = `
select count(*)::int as looked, coalesce(bool_or(c.waits), false) as waits
from avatars.batches b
cross join lateral (
  select m.contact_id from avatars.batch_members m where m.batch_id = $1 order by m.contact_id desc limit ${mostMembers}
) m
cross join lateral (
  select coalesce(${isWaitedForSql}, false) as waits from avatars.contacts c where c.id = m.contact_id limit 1
) c
where b.id = $1`;

type FactsRow = Omit<DrainFacts, "backlog" | "maxInFlight" | "latencyMs" | "care"> & {
  readonly care: CareJson | null;
  readonly maxInFlight: number | null;
  readonly latencyMs: number | null;
  readonly turned: number;
  readonly retries: number;
};

/**
 * How long it takes, in ms, until no contact of the batch waits, if all goes on as now. Undefined where it does not go on, or
 * cannot be told. Reads only, and what it reads is limited. With a client it is part of that client's transaction.
 * @param defaultRate calls per second of instances that set none
 * @param pending how many contacts of the batch wait, where that is known
 */
export async function estimateBatch(
  database: pg.Pool | pg.PoolClient,
  batchId: string,
  defaultRate: number,
  pending?: number,
): Promise<number | undefined> {
  const query = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]) =>
    database instanceof pg.Pool
      ? queryWithin<Row>(database, { deadlineMs, reading: "probes" }, text, values)
      : queryUnsorted<Row>(database, text, values);
  if (pending === undefined) {
    const [member] = await query<{ looked: number; waits: boolean }>(waitsSql, [batchId]);
    if (member && !member.waits && member.looked < mostMembers) return 0;
  }
  const [row] = await query<FactsRow>(sql, [batchId, defaultRate]);
  if (row === undefined || row.retries > mostRetries) return undefined;
  const facts = {
    ...row,
    backlog: Math.max(Math.round(row.turned) + row.retries, pending ?? 1),
    maxInFlight: row.maxInFlight ?? undefined,
    latencyMs: row.latencyMs ?? undefined,
    care: readCareFacts(row.care),
  };
  return drainMs(facts, Date.now());
}

/** Runs one statement of a transaction with the setting that {@link queryWithin} has for probes. */
async function queryUnsorted<Row extends pg.QueryResultRow>(
  client: pg.PoolClient,
  text: string,
  values: unknown[],
): Promise<Row[]> {
  await client.query("set local enable_sort = off");
  const { rows } = await client.query<Row>(text, values);
  await client.query("set local enable_sort = on");
  return rows;
}
