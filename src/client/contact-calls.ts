import { iteratePages, toJsonBody, type Caller } from "./caller.ts";
import type { Client, ImageBytes, Refreshed } from "./client.ts";
import { followChanges } from "./follow-changes.ts";
import { joinSignals } from "./http/join-signals.ts";
import { readJson } from "./read-answer.ts";
import type { AvatarChanges, Contact, RefreshPending } from "./wire.ts";

export type ContactCalls = Pick<
  Client,
  | "getContact"
  | "getContactHistory"
  | "iterateContactHistory"
  | "getContactImage"
  | "refreshContact"
  | "eraseContact"
  | "lookupContacts"
  | "listChanges"
  | "changes"
>;

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
        query: { wait: `${Math.round(waitMs)}ms` },
        extraMs: waitMs,
        read: readRefreshed,
        options: call,
      }),
    eraseContact: async (id, chatId, call) =>
      send({
        operation: "eraseContact",
        path: { id, chatId },
        read: () => undefined,
        readMissing: () => undefined,
        options: call,
      }),
    lookupContacts: async (lookup, call) => ask("lookupContacts", { ...toJsonBody(lookup), options: call }),
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

async function readImage(response: Response): Promise<ImageBytes> {
  const type = response.headers.get("content-type") ?? "";
  return { type, bytes: new Uint8Array(await response.arrayBuffer()) };
}

async function readRefreshed(response: Response): Promise<Refreshed> {
  if (response.status === 200) return { kind: "answered", contact: await readJson<Contact>(response) };
  const { batchId, contact, stopped } = await readJson<RefreshPending>(response);
  return { kind: "pending", batchId, contact, stopped };
}
