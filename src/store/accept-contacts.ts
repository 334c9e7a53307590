import { from as copyFrom } from "pg-copy-streams";
import type pg from "pg";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ChatId } from "../domain/chat-id.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { sleep } from "../lib/deadline.ts";
import { isTransient } from "./database.ts";
import { toStorableText } from "./storable-text.ts";

export interface NewBatch {
  readonly instanceId: InstanceId;
  /** Who asks: `file`, `bullmq`. */
  readonly source: string;
  readonly label: string | undefined;
  readonly priority: number;
  /** An answer younger than this is fresh enough: its contact costs no call. */
  readonly maxAgeMs: number;
}

/** A contact on its way in, with the place where it stood. */
export interface IncomingContact {
  readonly chatId: ChatId;
  readonly externalRef: string | undefined;
  readonly position: number;
}

/** Opens a batch. Until {@link finishIntake} it is visibly incomplete. Returns its id. */
export async function createBatch(pool: pg.Pool, batch: NewBatch): Promise<string> {
  const { rows } = await pool.query<{ id: string }>(
    `insert into avatars.batches (instance_id, source, label, priority, fresh_after)
     values ($1, $2, $3, $4, now() - $5::float8 * interval '1 ms') returning id`,
    [
      batch.instanceId,
      batch.source,
      batch.label === undefined ? null : toStorableText(batch.label),
      batch.priority,
      batch.maxAgeMs,
    ],
  );
  return rows[0]!.id;
}

/** The file has been read to its end. */
export async function finishIntake(pool: pg.Pool, batchId: string, rejected: number): Promise<void> {
  await pool.query(`update avatars.batches set completed_intake_at = now(), rejected = $2 where id = $1`, [
    batchId,
    rejected,
  ]);
}

/** Half a minute in all: a restart of the server does not end an import. */
const maxRetries = 8;

/**
 * Reserves a turn for each contact of a chunk, in a transaction of its own: chunks of one batch are written side by
 * side, and must not share turns. `avatars.accept` gives back what it does not use. The commit need not wait for the
 * disk: that of the chunk does, and comes later. Returns the turn before the first; null: no such batch.
 */
async function reserveTurns(client: pg.PoolClient, batchId: string, turns: number): Promise<string | null> {
  const { rows } = await client.query<{ last_turn: string }>(
    `with quick as (select set_config('synchronous_commit', 'off', true))
     update avatars.batches b
     set last_turn = $2::bigint + greatest(b.last_turn,
       (select i.turns[b.priority + 1] from avatars.instances i where i.id = b.instance_id))
     from quick where b.id = $1 returning b.last_turn - $2::bigint as last_turn`,
    [batchId, turns],
  );
  return rows[0]?.last_turn ?? null;
}

/**
 * Takes a chunk in: COPY into a staging table, then one call of `avatars.accept`, in one transaction. When
 * it resolves the contacts are committed (I1). Sent again it changes nothing. Returns how many contacts were new to the batch.
 */
export async function acceptChunk(
  pool: pg.Pool,
  batchId: string,
  chunk: readonly IncomingContact[],
): Promise<number> {
  let lastTurn: string | null | undefined;
  for (let tries = 1; ; tries += 1) {
    let client: pg.PoolClient | undefined;
    try {
      client = await pool.connect();
      lastTurn ??= await reserveTurns(client, batchId, chunk.length);
      const members = await acceptInTransaction(client, batchId, chunk, lastTurn);
      client.release();
      return members;
    } catch (error) {
      client?.release(true);
      if (tries > maxRetries || !isTransient(error)) throw error;
      await sleep(Math.min(8_000, 50 * 2 ** tries));
    }
  }
}

async function acceptInTransaction(
  client: pg.PoolClient,
  batchId: string,
  chunk: readonly IncomingContact[],
  lastTurn: string | null,
): Promise<number> {
  await client.query("begin");
  await client.query(
    `create temp table if not exists staged_contacts
       (chat_id text not null, external_ref text, position bigint not null) on commit delete rows`,
  );
  const copy = client.query(copyFrom("copy pg_temp.staged_contacts from stdin"));
  await pipeline(Readable.from([toCopyText(chunk)], { objectMode: false }), copy);
  const { rows } = await client.query<{ members: number }>(
    `select (avatars.accept($1, array_agg(chat_id), array_agg(external_ref), array_agg(position), $2)).members
     from pg_temp.staged_contacts`,
    [batchId, lastTurn],
  );
  await client.query("commit");
  return rows[0]?.members ?? 0;
}

/** COPY's text format: tabs between columns, `\N` for null, backslash escapes. */
function toCopyText(chunk: readonly IncomingContact[]): string {
  let text = "";
  for (const { chatId, externalRef, position } of chunk) {
    text += `${chatId}\t${externalRef === undefined ? String.raw`\N` : escapeCopyText(externalRef)}\t${position}\n`;
  }
  return text;
}

const copyEscapes: Record<string, string> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };

function escapeCopyText(value: string): string {
  return toStorableText(value).replace(/[\\\t\n\r]/g, (char) => copyEscapes[char] ?? char);
}
