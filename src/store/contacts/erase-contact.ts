import type pg from "pg";
import type { Actor } from "../../domain/audit.ts";
import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ChatHash } from "../../lib/secrets/chat-hash.ts";
import { forgetAuditedContact } from "../audit/forget-audited-contact.ts";
import { recordAudit } from "../audit/record-audit.ts";
import { waitBriefly } from "../postgres/brief-locks.ts";
import { lockInstanceSql } from "../work/holds.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { briefly, retryTransient } from "../postgres/retry-transient.ts";

/** A transaction that saves an answer, or accepts the contact again waits for this lock, or is waited for. */
const lockSql = `select id from avatars.contacts where instance_id = $1 and chat_id = $2 for update`;

/** Members have no index by contact: one probe for each batch of the instance. As an array: a join may read all members. */
const membersSql = `
delete from avatars.batch_members
where batch_id = any (array(select id from avatars.batches where instance_id = $1)) and contact_id = $2`;

/**
 * The mark is for a provider that names the chat later among those that a spent quota leaves. It is a hash: no table has the
 * id.
 */
const markSql = `
insert into avatars.erased_chats (instance_id, chat_hash) values ($1, $2)
on conflict (instance_id, chat_hash) do update set erased_at = now()`;

/** The provider may have named it before, also where it never was a contact. */
const unlistSql = `
update avatars.instances set allowed_chat_ids = array_remove(allowed_chat_ids, $2)
where id = $1 and $2 = any (allowed_chat_ids)`;

/**
 * Erases the contact with its avatar, its history, its place in batches and lists, and all that waits for it. One
 * transaction. An answer that is on its way finds no contact and is dropped. One that names it among the chats of a spent
 * quota finds its mark. False: there was no contact; its mark is written all the same.
 *
 * `avatars.accept` does not lock contacts that are fresh. A batch that takes this one in at the same moment may keep a
 * member, a number, without a contact. Statements that count members count those with a contact.
 *
 * The audit log keeps that a contact was erased and what was done before, without a word of whom.
 *
 * @param hashErased the same hash as holds look for (holds.ts)
 * @param asker.hashAudited the hash by which rows of the audit log name contacts
 */
export async function eraseContact(
  pool: pg.Pool,
  hashErased: ChatHash,
  instanceId: InstanceId,
  chatId: ChatId,
  asker?: { readonly by: Actor; readonly hashAudited: ChatHash },
): Promise<boolean> {
  // A connection that is lost at the commit leaves it open. What a try has found is gone in the end.
  let wasFound = false;
  await retryTransient(briefly, async () =>
    inTransaction(pool, async (client) => {
      await waitBriefly(client);
      const { rows } = await client.query<{ id: string }>(lockSql, [instanceId, chatId]);
      const contact = rows[0];
      if (contact) {
        wasFound = true;
        // Statements of their own see what the transactions have committed that the lock waited for.
        await client.query(membersSql, [instanceId, contact.id]);
        await client.query("delete from avatars.contacts where id = $1", [contact.id]);
        await recordAudit(client, asker?.by, { action: "contact.erased", instanceId });
      }
      if (asker) await forgetAuditedContact(client, instanceId, asker.hashAudited(chatId));
      // Last, and for the milliseconds until the commit: renewals and holds of the instance wait for it.
      const { rowCount } = await client.query(lockInstanceSql, [instanceId]);
      if (!rowCount) return;
      await client.query(markSql, [instanceId, hashErased(chatId)]);
      await client.query(unlistSql, [instanceId, chatId]);
    }),
  );
  return wasFound;
}
