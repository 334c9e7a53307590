import type pg from "pg";
import type { InstanceId } from "../domain/instance-id.ts";

/**
 * One probe of the due index per instance and priority: cheap whatever the number of contacts. A claim that has run
 * out counts as due.
 * @param since only what has been due, and callable, for this long
 */
const toSql = (since: string) => `
select i.id
from avatars.instances i
where (i.state = 'active' or i.state = 'held' and i.held_until <= ${since})
  and exists (
    select from (values (0), (1), (2)) as p (priority)
    cross join lateral (
      select from avatars.contacts c
      where c.instance_id = i.id and c.priority = p.priority and c.due_at <= ${since}
        and (c.claimed_until is null or c.claimed_until <= ${since})
      order by c.due_at, c.id limit 1
    ) c
  )`;

const dueSql = toSql("now()");

/** A sweep every 5 s and a lease of 30 s lie well within. */
const stalledSince = "now() - interval '2 minutes'";
const stalledSql = `${toSql(stalledSince)} and i.next_call_at <= ${stalledSince} order by i.id`;

/** Instances that may be called and have contacts that nobody has claimed. */
export async function findDueInstances(pool: pg.Pool): Promise<InstanceId[]> {
  const { rows } = await pool.query<{ id: InstanceId }>({ name: "find-due-instances", text: dueSql });
  return rows.map((row) => row.id);
}

/** Instances with work that has been due for two minutes, without a single call in that time: nobody works. */
export async function findStalledInstances(pool: pg.Pool): Promise<InstanceId[]> {
  const { rows } = await pool.query<{ id: InstanceId }>(stalledSql);
  return rows.map((row) => row.id);
}
