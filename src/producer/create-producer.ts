import { defaultMaxAgeMs } from "../domain/views/batch.ts";
import type { ChatId } from "../domain/chat-id.ts";
import { parseInstanceId } from "../domain/instance-id.ts";
import { hasAtMost, intakeBounds } from "../domain/intake-bounds.ts";
import { parseContactId } from "../intake/ids/contact-id.ts";
import { parseDurationMs } from "../lib/duration.ts";
import { UserError } from "../lib/errors.ts";
import { mapInTurns } from "../lib/in-turns.ts";
import { toEnqueueError } from "./enqueue-error.ts";

export { UserError };

/** A Pool, a Client or a PoolClient of pg, or any other client that takes `$1` and gives rows. */
export interface Queryable {
  query(
    text: string,
    values: unknown[],
  ): Promise<{ readonly rows: readonly { readonly [column: string]: unknown }[] }>;
}

/** A chat id, or a phone number with its country code. */
export interface ProducedContact {
  readonly chatId?: string | undefined;
  readonly phone?: string | undefined;
  /** Your own id for the contact, up to 200 characters. */
  readonly externalRef?: string | null | undefined;
}

export type EnqueueRequest = {
  /** GREEN-API's `idInstance`. */
  readonly instanceId: string | number;
  /** 0 interactive, 1 import (default), 2 resync. */
  readonly priority?: 0 | 1 | 2 | undefined;
  /** An answer younger than this is fresh enough and costs no call: seconds, or text like `7d`, `12h`. Default: 7 days. */
  readonly maxAge?: number | string | undefined;
  /** For people, up to 200 characters. */
  readonly label?: string | undefined;
} & (
  | { readonly chatIds: readonly string[]; readonly contacts?: undefined }
  | { readonly contacts: readonly ProducedContact[]; readonly chatIds?: undefined }
);

export interface Enqueued {
  /** Undefined: none of the items was a contact, and nothing was written. */
  readonly batchId: string | undefined;
  /** Distinct contacts. */
  readonly accepted: number;
  readonly duplicates: number;
  /** Items that are no contacts, by their index in the request; they do not stop the others. */
  readonly rejected: readonly { readonly index: number; readonly reason: string }[];
}

export interface Producer {
  /**
   * Enqueues contacts of one instance as one batch, in one statement: up to a million.
   * @throws UserError `invalid-request` before anything is sent. `unknown-instance`, `not-permitted` and `not-migrated` leave a
   * transaction that can only be rolled back. Other errors are the database client's.
   */
  enqueue(request: EnqueueRequest): Promise<Enqueued>;
}

const { label: maxLabel, externalRef: maxRef } = intakeBounds;
const maxItems = intakeBounds.items.sql;

/** The reason for an item that a caller without types has sent. */
const notText = { ok: false, reason: "neither a chat id nor a phone number: expected text" } as const;

const enqueueSql = `select avatars.enqueue(
  instance_id => $1, chat_ids => $2::text[], priority => $3::integer, max_age => make_interval(secs => $4::float8),
  external_refs => $5::text[], label => $6) as batch_id`;

/**
 * Enqueues contacts straight into Postgres, without the HTTP API, as `avatars.enqueue` does. Its role needs no more than `grant
 * usage on schema avatars`.
 *
 * With a client inside a transaction, the commit accepts the contacts, and after a rollback nothing has happened. Making a
 * producer costs nothing, so each transaction may have its own. No worker is woken: one finds the contacts within about 5
 * seconds of the commit.
 */
export function createProducer(db: Queryable): Producer {
  return {
    async enqueue(request) {
      const instanceId = parseInstanceId(request.instanceId);
      if (instanceId === undefined) throw invalid("instanceId: expected 1 to 20 digits");
      const maxAgeMs = readMaxAge(request.maxAge);
      const { priority = 1 } = request;
      if (![0, 1, 2].includes(priority)) throw invalid("priority: expected 0, 1 or 2");
      const label = readText("label", request.label, maxLabel);
      const { chatIds, refs, rejected } = await readContacts(toContacts(request));

      const accepted = new Set(chatIds).size;
      const duplicates = chatIds.length - accepted;
      if (accepted === 0) return { batchId: undefined, accepted, duplicates, rejected };
      const externalRefs = refs.some((ref) => ref !== null) ? refs : null;
      const values = [instanceId, chatIds, priority, maxAgeMs / 1000, externalRefs, label];
      const { rows } = await db.query(enqueueSql, values).catch((error: unknown) => {
        throw toEnqueueError(error, instanceId);
      });
      return { batchId: String(rows[0]?.["batch_id"]), accepted, duplicates, rejected };
    },
  };
}

function toContacts({ chatIds, contacts }: EnqueueRequest): readonly ProducedContact[] {
  if ((chatIds === undefined) === (contacts === undefined)) {
    throw invalid("expected either chatIds or contacts");
  }
  const items = contacts ?? chatIds?.map((chatId) => ({ chatId }));
  if (!Array.isArray(items) || items.length === 0) throw invalid("expected at least one contact");
  if (items.length > maxItems) throw invalid(`expected up to ${maxItems} contacts: send several calls`);
  return items;
}

async function readContacts(contacts: readonly ProducedContact[]) {
  const chatIds: ChatId[] = [];
  const refs: (string | null)[] = [];
  const rejected: { index: number; reason: string }[] = [];
  await mapInTurns(contacts, ({ chatId, phone, externalRef }, index) => {
    const text: unknown = chatId ?? phone ?? "";
    const id = typeof text === "string" ? parseContactId(text, undefined) : notText;
    if (!id.ok) {
      rejected.push({ index, reason: id.reason });
      return;
    }
    chatIds.push(id.chatId);
    refs.push(readText(`contacts[${index}].externalRef`, externalRef ?? undefined, maxRef));
  });
  return { chatIds, refs, rejected };
}

/** The text as Postgres can store it; null for nothing. */
function readText(name: string, text: string | undefined, maxText: number): string | null {
  const trimmed = text?.trim() ?? "";
  if (!hasAtMost(trimmed, maxText) || trimmed.includes("\0") || !trimmed.isWellFormed()) {
    throw invalid(`${name}: expected up to ${maxText} characters, without NUL and broken ones`);
  }
  return trimmed === "" ? null : trimmed;
}

function readMaxAge(maxAge: number | string | undefined): number {
  if (maxAge === undefined) return defaultMaxAgeMs;
  try {
    return parseDurationMs(String(maxAge), "maxAge");
  } catch (cause) {
    throw new UserError("invalid-request", "maxAge: expected seconds, or text like 7d or 12h", { cause });
  }
}

function invalid(message: string): UserError {
  return new UserError("invalid-request", message);
}
