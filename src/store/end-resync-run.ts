import { hasRefreshSql, toStepsTable } from "./refresh-sql.ts";

/**
 * How many contacts of an instance rest and are due at a moment, as an expression: from the index alone, since each step is
 * walked no further than that.
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

const toEndSql = (which: string) => `
update avatars.resync_runs r
set ended_at = $2, ended_by = $3, left_over = ${dueCountSql("r.instance_id", "$2::timestamptz")}
where ${which} and r.ended_at is null`;

/** Ends the run $1 at the moment $2 for the reason $3, with what it leaves over. */
export const endRunSql = toEndSql("r.id = $1");

/** Ends all open runs of the instances $1 at the moment $2, since another run takes over, for the reason $3. */
export const endRunsOfSql = toEndSql("r.instance_id = any ($1::text[])");

/** What the runs have left over that ended at the moment $1 without being asked: also at that moment. */
export const countLeftOverSql = `
update avatars.resync_runs r set left_over = ${dueCountSql("r.instance_id", "$1::timestamptz")}
where r.ended_at = $1 and r.ended_by = 'next-night' and r.left_over is null`;
