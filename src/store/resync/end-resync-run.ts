import type pg from "pg";
import type { ResyncEnd } from "../../domain/resync/resync-run.ts";
import { withReading } from "../postgres/query-within.ts";
import { hasRefreshSql, toStepsTable } from "./refresh-sql.ts";

/**
 * The number of contacts of an instance that rest and are due at a moment, as an expression. From the index alone: each step
 * is walked no further than that.
 * @param instanceId e.g. `$1::text`
 */
export function dueCountSql(instanceId: string, now: string): string {
  return `(
  with recursive ${toStepsTable(instanceId)}
  select coalesce(sum(n), 0)::int from steps s cross join lateral (
    select count(*) as n from avatars.contacts c
    where c.instance_id = ${instanceId} and ${hasRefreshSql} and c.refresh_step = s.step and c.refresh_at <= ${now}
  ) c)`;
}

const toEndSql = (which: string, leftOver: string) => `
update avatars.resync_runs r set ended_at = $2, ended_by = $3, left_over = ${leftOver}
where ${which} and r.ended_at is null`;

/** Ends the run $1 at the moment $2 for the reason $3, with what it leaves over. */
export const endRunSql = toEndSql("r.id = $1", dueCountSql("r.instance_id", "$2::timestamptz"));

const countDueSql = `
select c.instance_id as id, count(*)::int as due from avatars.contacts c
where ${hasRefreshSql} and c.refresh_at <= $2 and c.instance_id = any ($1::text[])
group by c.instance_id`;

const endRunsSql = toEndSql(
  "r.instance_id = any ($1::text[])",
  "(select due from unnest($4::text[], $5::int[]) as d (id, due) where d.id = r.instance_id)",
);

/**
 * Ends all open runs of the instances, since another run takes over. Counts what they leave over before it locks them, some
 * seconds for ten million contacts. Saves must not wait that long for the rows of the runs. What a run leaves over that was
 * opened meanwhile is not known.
 */
export async function endRunsOf(
  client: pg.PoolClient,
  instanceIds: readonly string[],
  now: Date,
  by: ResyncEnd,
): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    "select instance_id as id from avatars.resync_runs where instance_id = any ($1::text[]) and ended_at is null",
    [instanceIds],
  );
  const ids = rows.map(({ id }) => id);
  const due = await countDue(client, ids, now);
  // The runs are locked by id, as saves lock them.
  await client.query(
    `select from avatars.resync_runs where instance_id = any ($1::text[]) and ended_at is null
     order by id for no key update`,
    [instanceIds],
  );
  await client.query(endRunsSql, [instanceIds, now, by, ids, ids.map((id) => due.get(id) ?? 0)]);
}

async function countDue(
  client: pg.PoolClient,
  instanceIds: readonly string[],
  now: Date,
): Promise<Map<string, number>> {
  if (instanceIds.length === 0) return new Map();
  const { rows } = await withReading(client, "counts-in-page-order", async () =>
    client.query<{ id: string; due: number }>(countDueSql, [instanceIds, now]),
  );
  return new Map(rows.map(({ id, due }) => [id, due]));
}
