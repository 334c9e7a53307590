import type pg from "pg";
import { contactStatuses, type ContactStatus } from "../../domain/contact-status.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { mostCounted, type ContactCounts } from "../../domain/views/contact-filter.ts";

/** The indexes alone, instance by instance, and for each status no further than is counted. */
const sql = `
select w.status, n.contacts from unnest($2::text[]) as w (status)
cross join lateral (
  select count(*)::int as contacts from (
    select from (select i.id from avatars.instances i where $1::text[] is null or i.id = any ($1)) i
    cross join lateral (
      (select from avatars.contact_statuses s where s.instance_id = i.id and s.status = w.status limit ${mostCounted})
      union all (
        select from avatars.contacts c
        where w.status = 'unknown' and c.status = 'unknown' and c.instance_id = i.id limit ${mostCounted}
      )
    ) s
    limit ${mostCounted}
  ) counted
) n`;

/** @param instanceIds undefined: of all instances */
export async function countContacts(
  pool: pg.Pool,
  instanceIds: readonly InstanceId[] | undefined,
): Promise<ContactCounts> {
  const values = [instanceIds ?? null, contactStatuses];
  const { rows } = await pool.query<{ status: ContactStatus; contacts: number }>(sql, values);
  const found = new Map(rows.map(({ status, contacts }) => [status, contacts]));
  return Object.fromEntries(contactStatuses.map((status) => [status, found.get(status) ?? 0])) as Record<
    ContactStatus,
    number
  >;
}
