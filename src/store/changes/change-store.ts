import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { Page, PageRequest } from "../../domain/page.ts";
import type { AvatarChange } from "../../domain/views/contact-view.ts";
import type { Database } from "../postgres/database.ts";
import { listContactChanges } from "./list-contact-changes.ts";
import { createChangeReader, type ChangeReader } from "./read-changes.ts";

/** Changes of avatars as they are stored. One for a process: its reads share what they know of how far the feed is final. */
export interface ChangeStore {
  /** The feed, the oldest first; see {@link createChangeReader}. */
  readonly read: ChangeReader;
  /** Of one contact, the newest first. Undefined: there is no such contact. @throws UserError `invalid-cursor` */
  listOfContact(
    instanceId: InstanceId,
    chatId: ChatId,
    page: PageRequest,
  ): Promise<Page<AvatarChange> | undefined>;
}

export function createChangeStore({ pool }: Pick<Database, "pool">): ChangeStore {
  return {
    read: createChangeReader(pool),
    listOfContact: (instanceId, chatId, page) => listContactChanges(pool, instanceId, chatId, page),
  };
}
