import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { Page, PageRequest } from "../../domain/page.ts";
import type { ContactDetail } from "../../domain/views/contact-detail.ts";
import type { ContactCounts, ContactFilter } from "../../domain/views/contact-filter.ts";
import type { ContactView } from "../../domain/views/contact-view.ts";
import type { Database } from "../postgres/database.ts";
import { countContacts } from "./count-contacts.ts";
import { findContactDetail } from "./find-contact-detail.ts";
import { findContacts } from "./find-contacts.ts";
import { listChangedContacts } from "./list-changed-contacts.ts";
import { listContacts } from "./list-contacts.ts";

/** Contacts as they are stored. */
export interface ContactStore {
  /** Undefined: it is not known. */
  find(instanceId: InstanceId, chatId: ChatId): Promise<ContactView | undefined>;
  /** In any order; those that are not known are left out. */
  findMany(instanceId: InstanceId, chatIds: readonly ChatId[]): Promise<ContactView[]>;
  /** Undefined: it was erased, or never was. */
  findById(contactId: number): Promise<ContactDetail | undefined>;
  /** A page may be short, or empty, and not the last. @throws UserError `invalid-cursor` */
  list(filter: ContactFilter, page: PageRequest): Promise<Page<ContactView>>;
  /** By their status, as far as is counted. Undefined: of all instances. */
  count(instanceIds: readonly InstanceId[] | undefined): Promise<ContactCounts>;
}

export function createContactStore({ pool }: Pick<Database, "pool">): ContactStore {
  return {
    find: async (instanceId, chatId) => (await findContacts(pool, instanceId, [chatId]))[0],
    findMany: (instanceId, chatIds) => findContacts(pool, instanceId, chatIds),
    findById: (contactId) => findContactDetail(pool, contactId),
    list: async ({ changedSince, ...filter }, page) =>
      changedSince === undefined
        ? listContacts(pool, filter, page)
        : listChangedContacts(pool, changedSince, filter, page),
    count: (instanceIds) => countContacts(pool, instanceIds),
  };
}
