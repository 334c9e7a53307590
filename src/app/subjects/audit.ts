import type { Actor } from "../../domain/audit.ts";
import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { once } from "../../lib/closing/once.ts";
import { createChatHash } from "../../lib/secrets/chat-hash.ts";
import { createAuditStore, type AuditStore } from "../../store/audit/audit-store.ts";
import type { Door } from "./door.ts";

interface DownloadedBatch {
  readonly batchId: string;
  readonly instanceId: InstanceId;
  /** Those of the batch, all of them. */
  readonly contacts: number;
}

/** The audit log, for the command line and the API. */
export interface Audit extends AuditStore {
  /**
   * Writes down that numbers were shown; of an instance undefined, of several or none that was told. Of one contact the row names it, by a hash; of several it says how many.
   * @param inWords numbers beside theirs, as in the label of a batch
   * @throws UserError `no-secret-key`
   */
  noteReveal(
    by: Actor,
    instanceId: InstanceId | undefined,
    chatIds: readonly ChatId[],
    inWords?: number,
  ): Promise<void>;
  /** Writes down that a file with the numbers of a batch was handed out. */
  noteDownload(by: Actor, download: DownloadedBatch): Promise<void>;
  /** The hash that names a contact in the log. @throws UserError `no-secret-key` */
  hashContact(chatId: ChatId): string;
}

export function createAudit({ quick, secretKey }: Pick<Door, "quick" | "secretKey">): Audit {
  const store = createAuditStore(quick);
  const getHash = once(() => createChatHash(secretKey(), "contacts in the audit log"));
  const hashContact = (chatId: ChatId) => getHash()(chatId);
  return {
    ...store,
    hashContact,
    async noteDownload(by, { batchId, instanceId, contacts }) {
      const detail = { contacts, file: true };
      await store.record(by, { action: "contact.revealed", subjectId: batchId, instanceId, detail });
    },
    async noteReveal(by, instanceId, chatIds, inWords = 0) {
      const [only, ...others] = chatIds;
      const isOne = only !== undefined && others.length === 0;
      await store.record(by, {
        action: "contact.revealed",
        instanceId,
        detail: { contacts: chatIds.length, ...(inWords > 0 && { inWords }) },
        ...(isOne && { contactHash: hashContact(only) }),
      });
    },
  };
}
