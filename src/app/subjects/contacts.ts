import type { Actor } from "../../domain/audit.ts";
import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ImageOfContact } from "../../domain/images/image-of-contact.ts";
import type { RefreshTicket } from "../../domain/requests/refresh-ticket.ts";
import { UserError } from "../../lib/errors.ts";
import { createChatHash } from "../../lib/secrets/chat-hash.ts";
import { refreshContact } from "../../store/accept/refresh-contact.ts";
import { createContactStore, type ContactStore } from "../../store/contacts/contact-store.ts";
import { eraseContact } from "../../store/contacts/erase-contact.ts";
import { findImageOfContact } from "../../store/images/find-image-of-contact.ts";
import type { Door } from "./door.ts";
import { forgetInQueue } from "./forget-in-queue.ts";

/** The contacts one by one. */
export interface Contacts extends ContactStore {
  /** Asks for the contact before all others; makes it where it is not known. Undefined: no such instance. */
  refresh(apiKeyId: string, instanceId: InstanceId, chatId: ChatId): Promise<RefreshTicket | undefined>;
  /**
   * Erases the contact with its avatar, its history and all requests that wait for it. False: there was none.
   * @throws UserError `queue-unreachable`: it is erased, but a queued request may bring it back
   */
  erase(instanceId: InstanceId, chatId: ChatId, by: Actor): Promise<boolean>;
  /** Finds an image by its hash among those that the contact shows, or showed once. */
  findImage(contactId: number, sha256: Buffer): Promise<ImageOfContact>;
}

/** @throws UserError `no-secret-key` */
export function createContacts({ quick, writes, wake, getQueues, secretKey }: Door): Contacts {
  const { pool } = quick;
  const hashErased = createChatHash(secretKey(), "erased chats");
  const hashAudited = createChatHash(secretKey(), "contacts in the audit log");
  return {
    ...createContactStore(quick),
    findImage: (contactId, sha256) => findImageOfContact(pool, contactId, sha256),
    async refresh(apiKeyId, instanceId, chatId) {
      const ticket = await writes.run(instanceId, async () =>
        refreshContact(pool, apiKeyId, instanceId, chatId),
      );
      if (ticket) await wake(instanceId);
      return ticket;
    },
    async erase(instanceId, chatId, by) {
      // The queue first, or a request that waits there would bring the contact back.
      const isForgotten = await forgetInQueue(getQueues, instanceId, chatId);
      const wasFound = await writes.run(instanceId, async () =>
        eraseContact(pool, hashErased, instanceId, chatId, { by, hashAudited }),
      );
      if (isForgotten) return wasFound;
      throw new UserError(
        "queue-unreachable",
        "the contact is erased from Postgres, but the queue does not answer, whose requests may still name it: erase it again",
        { retryable: true },
      );
    },
  };
}
