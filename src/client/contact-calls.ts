import { iteratePages, toJsonBody, type Caller } from "./caller.ts";
import type { Client } from "./client.ts";
import type { ContactMethods, ImageBytes, Refreshed } from "./contact-methods.ts";
import { followChanges } from "./follow-changes.ts";
import { joinSignals } from "./http/join-signals.ts";
import { readJson } from "./read-answer.ts";
import type { AvatarChanges, Contact, RefreshPending } from "./wire.ts";

export type ContactCalls = ContactMethods & Pick<Client, "listChanges" | "changes">;

const defaultWaitMs = 15_000;

/** Tells what is known of contacts, has one asked for, erases one, and follows the feed of all changes. */
export function createContactCalls({ ask, send, timing, signal: ofClient }: Caller): ContactCalls {
  const calls: ContactCalls = {
    getContact: async (id, chatId, call) => ask("getContact", { path: { id, chatId }, options: call }),
    getContactHistory: async (id, chatId, page, call) =>
      ask("getContactHistory", { path: { id, chatId }, query: { ...page }, options: call }),
    iterateContactHistory: (id, chatId, page, call) =>
      iteratePages(page, async (next) => calls.getContactHistory(id, chatId, { ...page, ...next }, call)),
    getContactImage: async (id, chatId, { size, fallback, ...call } = {}) =>
      send<ImageBytes>({
        operation: "getContactImage",
        path: { id, chatId },
        query: { size, fallback },
        read: readImage,
        options: call,
      }),
    refreshContact: async (id, chatId, { waitMs = defaultWaitMs, ...call } = {}) =>
      send<Refreshed>({
        operation: "refreshContact",
        path: { id, chatId },
        query: toWait(waitMs),
        extraMs: waitMs,
        read: readRefreshed,
        options: call,
      }),
    eraseContact: async (id, chatId, call) =>
      send({ operation: "eraseContact", path: { id, chatId }, ...erased, options: call }),
    lookupContacts: async (lookup, call) => ask("lookupContacts", { ...toJsonBody(lookup), options: call }),
    listContacts: async (filter, call) => ask("listContacts", { query: { ...filter }, options: call }),
    iterateContacts: (filter, call) =>
      iteratePages(filter, async (page) => calls.listContacts({ ...filter, ...page }, call)),
    countContacts: async (filter, call) => ask("countContacts", { query: { ...filter }, options: call }),
    getContactById: async (contactId, call) => ask("getContactById", { path: { contactId }, options: call }),
    getContactHistoryById: async (contactId, page, call) =>
      ask("getContactHistoryById", { path: { contactId }, query: { ...page }, options: call }),
    getEarlierImage: async (contactId, sha256, { size, ...call } = {}) =>
      send<ImageBytes>({
        operation: "getEarlierImage",
        path: { contactId, sha256 },
        query: { size },
        read: readImage,
        options: call,
      }),
    refreshContactById: async (contactId, { waitMs = defaultWaitMs, ...call } = {}) =>
      send<Refreshed>({
        operation: "refreshContactById",
        path: { contactId },
        query: toWait(waitMs),
        extraMs: waitMs,
        read: readRefreshed,
        options: call,
      }),
    eraseContactById: async (contactId, call) =>
      send({ operation: "eraseContactById", path: { contactId }, ...erased, options: call }),
    listChanges: async (page, call) => ask("listChanges", { query: { ...page }, options: call }),
    changes: (follow) =>
      followChanges(
        async ({ signal, ...query }) =>
          ask<AvatarChanges>("listChanges", { query, options: { signal, maxRetries: 0 } }),
        timing,
        { ...follow, signal: joinSignals(follow?.signal, ofClient) },
      ),
  };
  return calls;
}

/** Of a contact that is not there the end is the same. */
const erased = { read: () => undefined, readMissing: () => undefined };

const toWait = (waitMs: number) => ({ wait: `${Math.round(waitMs)}ms` });

async function readImage(response: Response): Promise<ImageBytes> {
  const type = response.headers.get("content-type") ?? "";
  return { type, bytes: new Uint8Array(await response.arrayBuffer()) };
}

async function readRefreshed(response: Response): Promise<Refreshed> {
  if (response.status === 200) return { kind: "answered", contact: await readJson<Contact>(response) };
  const { batchId, contact, stopped } = await readJson<RefreshPending>(response);
  return { kind: "pending", batchId, contact, stopped };
}
