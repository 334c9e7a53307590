import type { CallOptions, PageOptions } from "./call-options.ts";
import type {
  AvatarChange,
  AvatarHistory,
  Contact,
  ContactCounts,
  ContactDetail,
  ContactList,
  ContactLookup,
  ContactLookupResult,
  ContactStatus,
  RefreshPending,
} from "./wire.ts";

export interface RefreshOptions extends CallOptions {
  /** How long the server waits for the answer, ms; 15 s by default, 60 s at most, 0 not at all. */
  readonly waitMs?: number | undefined;
}

/** An image of a size, or what is wanted in its place. */
export interface ImageOptions extends CallOptions {
  /** Pixels of each side of a square; without it the image as it was taken. */
  readonly size?: 64 | 128 | 256 | 640;
  readonly fallback?: "404" | "blank" | "silhouette";
}

export interface ImageBytes {
  /** The media type of the bytes. */
  readonly type: string;
  readonly bytes: Uint8Array;
}

export type Refreshed =
  | { readonly kind: "answered"; readonly contact: Contact }
  /**
   * The time was up: the batch tells when there is an answer. The contact is as it was, or null where it was erased meanwhile.
   * `stopped`: why it is not asked yet, and until when; null: it is being asked.
   */
  | {
      readonly kind: "pending";
      readonly batchId: string;
      readonly contact: Contact | null;
      readonly stopped: RefreshPending["stopped"];
    };

export interface ContactFilter {
  readonly instanceId?: string | undefined;
  readonly status?: readonly ContactStatus[] | undefined;
  /** Only those whose avatar has become another one since then, the latest first: ISO 8601. */
  readonly changedSince?: string | undefined;
}

/** Contacts: one by its chat id or by its own id, and lists of them. */
export interface ContactMethods {
  /** @param chatId or a phone number with its country code */
  getContact(instanceId: string, chatId: string, options?: CallOptions): Promise<Contact>;
  /** @throws ApiProblem 404 where it shows none, unless `fallback` asks for something in its place */
  getContactImage(instanceId: string, chatId: string, options?: ImageOptions): Promise<ImageBytes>;
  getContactHistory(
    instanceId: string,
    chatId: string,
    page?: PageOptions,
    options?: CallOptions,
  ): Promise<AvatarHistory>;
  /** All changes of a contact's avatar, newest first, page by page. */
  iterateContactHistory(
    instanceId: string,
    chatId: string,
    page?: PageOptions,
    options?: CallOptions,
  ): AsyncIterable<AvatarChange>;
  /** Asks for a contact now, before all imports, and waits for its answer. */
  refreshContact(instanceId: string, chatId: string, options?: RefreshOptions): Promise<Refreshed>;
  /** Erases a contact with its avatar, its history and its queued work. */
  eraseContact(instanceId: string, chatId: string, options?: CallOptions): Promise<void>;
  /** What is known of up to 1000 contacts. */
  lookupContacts(lookup: ContactLookup, options?: CallOptions): Promise<ContactLookupResult>;
  listContacts(filter?: ContactFilter & PageOptions, options?: CallOptions): Promise<ContactList>;
  /** All contacts of the filter, page by page. */
  iterateContacts(filter?: ContactFilter & PageOptions, options?: CallOptions): AsyncIterable<Contact>;
  /** How many contacts there are of each status, counted up to a bound. */
  countContacts(filter?: Pick<ContactFilter, "instanceId">, options?: CallOptions): Promise<ContactCounts>;
  /** @param contactId as lists and webhooks tell it */
  getContactById(contactId: string, options?: CallOptions): Promise<ContactDetail>;
  getContactHistoryById(contactId: string, page?: PageOptions, options?: CallOptions): Promise<AvatarHistory>;
  /** @throws ApiProblem 410 where its bytes are no longer kept */
  getEarlierImage(
    contactId: string,
    sha256: string,
    options?: Omit<ImageOptions, "fallback">,
  ): Promise<ImageBytes>;
  refreshContactById(contactId: string, options?: RefreshOptions): Promise<Refreshed>;
  eraseContactById(contactId: string, options?: CallOptions): Promise<void>;
}
