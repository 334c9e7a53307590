import type pg from "pg";
import type { ChatId } from "../../domain/chat-id.ts";
import type { AvatarChange } from "../../domain/views/contact-view.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { Page, PageRequest } from "../../domain/page.ts";
import { UserError } from "../../lib/errors.ts";
import { changeJoinsSql, toChange, toChangeColumns, type ChangeRow } from "./change-row.ts";

/**
 * Reads all changes of the contact first, then the page: a contact has few. A planner that goes by the order looks for them
 * through the whole feed. A row without an id: the contact is there, and nothing of this page.
 */
const sql = `
with contact as materialized (
  select * from avatars.contacts where instance_id = $1 and chat_id = $2
), changes as materialized (
  select * from avatars.avatar_changes where contact_id = (select id from contact)
)
select ${toChangeColumns("c")}
from contact c
left join (select * from changes where $3::bigint is null or id < $3 order by id desc limit $4) h on true
left join avatars.avatars a on a.contact_id = c.id and a.version = h.to_version
${changeJoinsSql}
order by h.id desc`;

/**
 * The changes of one contact's avatar, newest first. Undefined: there is no such contact.
 * @throws UserError `invalid-cursor`
 */
export async function listContactChanges(
  pool: pg.Pool,
  instanceId: InstanceId,
  chatId: ChatId,
  { after, limit }: PageRequest,
): Promise<Page<AvatarChange> | undefined> {
  // A row more than asked for tells whether there is another page.
  const values = [instanceId, chatId, toBefore(after), limit + 1];
  const { rows } = await pool.query<ChangeRow | (ChangeRow & { id: null })>(sql, values);
  if (rows.length === 0) return undefined;
  const items = rows.filter((row) => row.id !== null).map(toChange);
  const page = items.slice(0, limit);
  return { items: page, next: items.length > limit ? String(page.at(-1)?.id) : undefined };
}

function toBefore(after: string | undefined): string | null {
  if (after === undefined) return null;
  // No longer than what a bigint holds.
  if (!/^\d{1,18}$/.test(after)) throw new UserError("invalid-cursor", "the cursor is not one of a history");
  return after;
}
