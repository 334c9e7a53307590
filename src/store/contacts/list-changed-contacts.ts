import type pg from "pg";
import type { Page, PageRequest } from "../../domain/page.ts";
import type { ContactFilter } from "../../domain/views/contact-filter.ts";
import type { ContactView } from "../../domain/views/contact-view.ts";
import { UserError } from "../../lib/errors.ts";
import { contactColumnsSql, contactJoinsSql, toContactView, type ContactRow } from "./contact-row.ts";

/** Avatars that one page looks at: some ten milliseconds, where few of them are of the filter. */
const lookedAtAtOnce = 5_000;

/** Whole microseconds since 1970, as Postgres keeps moments: a millisecond has many. */
const toMicros = (moment: string) => `(extract(epoch from ${moment}) * 1000000)::bigint`;
const fromMicros = (micros: string) => `(timestamptz 'epoch' + ${micros} * interval '1 microsecond')`;

const toPlace = (row: string) => `'c' || ${toMicros(`${row}.changed_at`)} || ' ' || ${row}.contact_id`;

/** The latest change before a place: one probe of the index, whatever statistics say. */
const toLatest = (before: string) => `
    select a.contact_id, a.changed_at from avatars.avatars a
    where a.changes > 0 and a.changed_at >= $1 and (a.changed_at, a.contact_id) < (${before})
    order by a.changed_at desc, a.contact_id desc limit 1`;

/**
 * Walks the changes until the page is full, or so many were looked at. A contact is probed for each, with its status and its
 * instance alone, and in full for those of the page. At least one row comes, with where the walk was cut.
 */
const sql = `
with recursive looked as (
  select l.*, 1 as nth from (${toLatest(`coalesce(${fromMicros("$2::bigint")}, 'infinity'), coalesce($3::bigint, 0)`)}) l
  union all
  select n.*, l.nth + 1 from looked l cross join lateral (${toLatest("l.changed_at, l.contact_id")}) n
  where l.nth < ${lookedAtAtOnce}
), page as materialized (
  select l.* from looked l
  cross join lateral (
    select from avatars.contacts c
    where c.id = l.contact_id and ($4::text[] is null or c.instance_id = any ($4)) and ($5::text[] is null or c.status = any ($5))
    offset 0
  ) c
  limit $6
)
select s.cut, ${toPlace("p")} as place, c.*
from (
  select case when (select count(*) from page) < $6
    then (select ${toPlace("l")} from looked l where l.nth = ${lookedAtAtOnce}) end as cut
) s
left join page p on true
left join lateral (
  select ${contactColumnsSql}
  from avatars.contacts c ${contactJoinsSql}
  where c.id = p.contact_id offset 0
) c on true
order by p.nth`;

type Row = { readonly cut: string | null; readonly place: string | null } & (
  | ContactRow
  | { readonly id: null }
);

/**
 * A page of the contacts whose avatar has become another one since a moment, the latest first. One that changes while its list is
 * read is at the beginning of the next one. A page may be short, or empty, and not the last.
 * @throws UserError `invalid-cursor`
 */
export async function listChangedContacts(
  pool: pg.Pool,
  since: Date,
  { instanceIds, statuses }: Omit<ContactFilter, "changedSince">,
  { after, limit }: PageRequest,
): Promise<Page<ContactView>> {
  const [micros, contactId] = parsePlace(after);
  const values = [since, micros, contactId, instanceIds ?? null, statuses ?? null, limit + 1];
  const { rows } = await pool.query<Row>(sql, values);
  const found = rows.filter((row): row is Row & ContactRow => row.id !== null);
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map(toContactView),
    next: (found.length > limit ? last?.place : rows[0]?.cut) ?? undefined,
  };
}

function parsePlace(after: string | undefined): readonly [string | null, string | null] {
  if (after === undefined) return [null, null];
  const [, micros, contactId] = /^c(\d{1,18}) (\d{1,18})$/.exec(after) ?? [];
  if (micros === undefined || contactId === undefined)
    throw new UserError("invalid-cursor", "the cursor is not one of a list of changed contacts");
  return [micros, contactId];
}
