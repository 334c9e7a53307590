import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ContactView } from "../../domain/views/contact-view.ts";
import type { Database } from "../postgres/database.ts";
import { findContacts } from "./find-contacts.ts";

/** Contacts as they are stored. */
export interface ContactStore {
  /** Undefined: it is not known. */
  find(instanceId: InstanceId, chatId: ChatId): Promise<ContactView | undefined>;
  /** In any order; those that are not known are left out. */
  findMany(instanceId: InstanceId, chatIds: readonly ChatId[]): Promise<ContactView[]>;
}

export function createContactStore({ pool }: Pick<Database, "pool">): ContactStore {
  return {
    find: async (instanceId, chatId) => (await findContacts(pool, instanceId, [chatId]))[0],
    findMany: (instanceId, chatIds) => findContacts(pool, instanceId, chatIds),
  };
}
