import type pg from "pg";
import { contactStatuses } from "../../domain/contact-status.ts";
import type { Page, PageRequest } from "../../domain/page.ts";
import type { ContactFilter } from "../../domain/views/contact-filter.ts";
import type { ContactView } from "../../domain/views/contact-view.ts";
import { UserError } from "../../lib/errors.ts";
import { contactColumnsSql, contactJoinsSql, toContactView, type ContactRow } from "./contact-row.ts";

/**
 * Instance by instance, and within one by the contact's id: two indexes serve any choice of instances and statuses. Each probe of
 * them takes no more rows than the page has, and the loop over the instances ends where the page is full.
 */
const sql = `
with chosen as materialized (
  select i.id, row_number() over (order by i.id collate "C") as place, case when i.id = $3 then $4::bigint else 0 end as after_id
  from avatars.instances i
  where ($1::text[] is null or i.id = any ($1)) and ($3::text is null or i.id collate "C" >= $3)
), page as materialized (
  select i.place, s.contact_id
  from (select * from chosen order by place) i
  cross join lateral (
    select s.contact_id from unnest($2::text[]) as w (status)
    cross join lateral (
      (
        select s.contact_id from avatars.contact_statuses s
        where s.instance_id = i.id and s.status = w.status and s.contact_id > i.after_id
        order by s.contact_id limit $5
      ) union all (
        select c.id from avatars.contacts c
        where w.status = 'unknown' and c.status = 'unknown' and c.instance_id = i.id and c.id > i.after_id
        order by c.id limit $5
      )
    ) s
    order by s.contact_id limit $5
  ) s
  limit $5
)
select c.* from page p
cross join lateral (
  select ${contactColumnsSql}
  from avatars.contacts c ${contactJoinsSql}
  where c.id = p.contact_id offset 0
) c
order by p.place, p.contact_id`;

/**
 * A page of the contacts of a filter, in an order that no save changes: a contact that stays what it is comes exactly once.
 * @param filter its `changedSince` is not looked at: list-changed-contacts.ts
 * @throws UserError `invalid-cursor`
 */
export async function listContacts(
  pool: pg.Pool,
  { instanceIds, statuses = contactStatuses }: Omit<ContactFilter, "changedSince">,
  { after, limit }: PageRequest,
): Promise<Page<ContactView>> {
  const [instanceId, contactId] = parsePlace(after);
  // A row more than asked for tells whether there is another page.
  const values = [instanceIds ?? null, statuses, instanceId, contactId, limit + 1];
  const { rows } = await pool.query<ContactRow>(sql, values);
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map(toContactView),
    next: last && rows.length > limit ? `${last.instance_id} ${last.id}` : undefined,
  };
}

function parsePlace(after: string | undefined): readonly [string | null, string] {
  if (after === undefined) return [null, "0"];
  const [, instanceId, contactId] = /^(\d{1,20}) (\d{1,18})$/.exec(after) ?? [];
  if (instanceId === undefined || contactId === undefined)
    throw new UserError("invalid-cursor", "the cursor is not one of this list of contacts");
  return [instanceId, contactId];
}
