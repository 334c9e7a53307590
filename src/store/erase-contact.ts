import type pg from "pg";
import type { ChatId } from "../domain/chat-id.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { waitBriefly } from "./brief-locks.ts";
import { inTransaction } from "./in-transaction.ts";
import { briefly, retryTransient } from "./retry-transient.ts";

/** Whoever saves an answer, claims, or accepts the contact again waits for this lock, or is waited for. */
const lockSql = `select id from avatars.contacts where instance_id = $1 and chat_id = $2 for update`;

/** Members have no index by contact: one probe for each batch of the instance. As an array: a join may read all members. */
const membersSql = `
delete from avatars.batch_members
where batch_id = any (array(select id from avatars.batches where instance_id = $1)) and contact_id = $2`;

/**
 * The provider may have named it among the chats that a spent quota leaves. Last, since a hold that is written at the same moment
 * locks the contacts that it names before the instance (holds.ts).
 */
const unlistSql = `
update avatars.instances set allowed_chat_ids = array_remove(allowed_chat_ids, $2)
where id = $1 and $2 = any (allowed_chat_ids)`;

/**
 * Erases the contact with its avatar, its history, its place in batches and in lists, and all that waits for it, in one transaction. An
 * answer that is on its way finds no contact and is dropped. False: there was none.
 *
 * `avatars.accept` does not lock contacts that are fresh: a batch that takes this one in at the same moment may keep a
 * member, which is a number, without a contact. Whoever counts members counts those that have one.
 */
export async function eraseContact(pool: pg.Pool, instanceId: InstanceId, chatId: ChatId): Promise<boolean> {
  // A connection that is lost at the commit leaves open whether that was done: what was found is gone in the end.
  let wasFound = false;
  await retryTransient(briefly, async () =>
    inTransaction(pool, async (client) => {
      await waitBriefly(client);
      const { rows } = await client.query<{ id: string }>(lockSql, [instanceId, chatId]);
      const contact = rows[0];
      if (contact) {
        wasFound = true;
        // Statements of their own, which see what those have committed whom the lock waited for.
        await client.query(membersSql, [instanceId, contact.id]);
        await client.query("delete from avatars.contacts where id = $1", [contact.id]);
      }
      await client.query(unlistSql, [instanceId, chatId]);
    }),
  );
  return wasFound;
}
