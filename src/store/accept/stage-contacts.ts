import { from as copyFrom } from "pg-copy-streams";
import type pg from "pg";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { IncomingContact } from "../../domain/requests/incoming-contact.ts";
import { toStorableText } from "../postgres/storable-text.ts";

/** Copies contacts into `pg_temp.staged_contacts`, which is empty again after the transaction. */
export async function stageContacts(
  client: pg.PoolClient,
  contacts: readonly IncomingContact[],
): Promise<void> {
  await client.query(
    `create temp table if not exists pg_temp.staged_contacts
       (chat_id text not null, external_ref text, position bigint not null) on commit delete rows`,
  );
  const copy = client.query(copyFrom("copy pg_temp.staged_contacts from stdin"));
  await pipeline(Readable.from(toCopyTexts(contacts), { objectMode: false }), copy);
}

/**
 * Takes what is staged into the batch. Returns how many contacts were new to it.
 * @param lastTurn see `avatars.accept`
 */
export async function acceptStaged(
  client: pg.PoolClient,
  batchId: string,
  lastTurn: string | null,
): Promise<number> {
  const { rows } = await client.query<{ members: number }>(
    `select (avatars.accept($1, array_agg(chat_id), array_agg(external_ref), array_agg(position), $2)).members
     from pg_temp.staged_contacts`,
    [batchId, lastTurn],
  );
  return rows[0]?.members ?? 0;
}

/** A text above 128 KiB is a large object to V8, collected late: a long stream would leave many. */
const contactsPerText = 1_000;

function* toCopyTexts(contacts: readonly IncomingContact[]): Generator<string> {
  for (let at = 0; at < contacts.length; at += contactsPerText) {
    yield toCopyText(contacts.slice(at, at + contactsPerText));
  }
}

/**
 * COPY's text format: tabs between columns, `\N` for null, backslash escapes. The text is joined at once. A text that grows
 * bit by bit is a tree of bits until it is read.
 */
function toCopyText(chunk: readonly IncomingContact[]): string {
  const cells: (string | number)[] = [];
  for (const { chatId, externalRef, position } of chunk) {
    const ref = externalRef === undefined ? String.raw`\N` : escapeCopyText(externalRef);
    cells.push(chatId, "\t", ref, "\t", position, "\n");
  }
  return cells.join("");
}

const copyEscapes: Record<string, string> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };

function escapeCopyText(value: string): string {
  return toStorableText(value).replace(/[\\\t\n\r]/g, (char) => copyEscapes[char] ?? char);
}
