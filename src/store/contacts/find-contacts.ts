import type pg from "pg";
import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ContactView } from "../../domain/views/contact-view.ts";
import { contactColumnsSql, contactJoinsSql, toContactView, type ContactRow } from "./contact-row.ts";

/** Probes the index once for each: `offset 0` keeps a planner without statistics from reading the whole table instead. */
const sql = `
select c.* from unnest($2::text[]) as given (chat_id)
cross join lateral (
  select ${contactColumnsSql}
  from avatars.contacts c ${contactJoinsSql}
  where c.instance_id = $1 and c.chat_id = given.chat_id
  offset 0
) c`;

/** Finds contacts of the instance, each known one once, in any order. */
export async function findContacts(
  pool: pg.Pool,
  instanceId: InstanceId,
  chatIds: readonly ChatId[],
): Promise<ContactView[]> {
  const values = [instanceId, [...new Set(chatIds)]];
  const { rows } = await pool.query<ContactRow>({ name: "find-contacts", text: sql, values });
  return rows.map(toContactView);
}
