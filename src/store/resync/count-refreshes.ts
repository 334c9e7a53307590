import type pg from "pg";
import { simulatedInstanceId, type InstanceId } from "../../domain/instance-id.ts";
import type { RefreshCount } from "../../domain/resync/plan-resync.ts";
import { queryWithin } from "../postgres/query-within.ts";
import { hasRefreshSql } from "./refresh-sql.ts";

/** Reads only contacts that are due by the end of the window, a fifth of all, and no empty steps. */
const toSql = (which: string) => `
select c.instance_id as "instanceId", c.refresh_step as step,
  count(*) filter (where c.refresh_at <= $1)::int as "dueNow",
  count(*) filter (where c.refresh_at <= $2)::int as "dueFrom",
  count(*) filter (where c.refresh_at <= $3)::int as "dueUntil",
  min(c.refresh_at) as "oldestAt"
from avatars.contacts c
where ${hasRefreshSql} and c.refresh_at <= greatest($1::timestamptz, $2::timestamptz, $3::timestamptz) and ${which}
group by c.instance_id, c.refresh_step
order by c.instance_id, c.refresh_step`;

const ofAllSql = toSql("c.instance_id <> $4");
const ofOneSql = toSql("c.instance_id = $4");

export interface RefreshMoments {
  readonly now: Date;
  /** The beginning and the end of the window that is planned. */
  readonly from: Date;
  readonly until: Date;
}

/** Counts the contacts that rest and are due at one of these moments, by instance and step. */
export async function countRefreshes(
  pool: pg.Pool,
  { now, from, until }: RefreshMoments,
  { deadlineMs, only }: { readonly deadlineMs: number; readonly only?: InstanceId | undefined },
): Promise<RefreshCount[]> {
  const values = [now, from, until, only ?? simulatedInstanceId];
  return queryWithin<RefreshCount>(
    pool,
    { deadlineMs, reading: "counts-in-page-order" },
    only === undefined ? ofAllSql : ofOneSql,
    values,
  );
}
