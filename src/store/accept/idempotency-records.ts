import type pg from "pg";
import type { Asker } from "../../domain/requests/batch-request.ts";
import { lockNumberSql } from "./request-locks.ts";

/** An asker with an idempotency key. */
export type KeyedAsker = Asker & { readonly idempotencyKey: string };

/** The record of a key: a request that was answered, or a stream that was not read to its end. */
export type IdempotencyRecord =
  | {
      readonly kind: "answered";
      readonly batchId: string;
      readonly fingerprint: string;
      readonly answer: StoredAnswer;
    }
  | { readonly kind: "cut-off"; readonly batchId: string; readonly parameters: string };

/** An answer without chat ids: the body, which comes again, has them. */
export interface StoredAnswer {
  /** ISO 8601. */
  readonly requestedAt: string;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly etaMs: number | null;
  /** How each contact of a whole request was taken, in order: q(ueued), f(resh), d(uplicate). */
  readonly items?: string;
  /** True: the stream went on with a batch that had been cut off. */
  readonly resumed?: boolean;
}

/** How long a key is remembered. */
const keptFor = "interval '24 hours'";

export function hasKey(asker: Asker): asker is KeyedAsker {
  return asker.idempotencyKey !== undefined;
}

/** The name of the lock that a request with this key holds while it is at work. */
export function toKeyLock({ apiKeyId, idempotencyKey }: KeyedAsker): string {
  return `key:${apiKeyId}:${idempotencyKey}`;
}

/** Takes the lock of the key until the end of the transaction. False: another request has it. */
export async function tryLockKey(client: pg.PoolClient, asker: KeyedAsker): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    `select pg_try_advisory_xact_lock(${lockNumberSql}) as locked`,
    [toKeyLock(asker)],
  );
  return rows[0]?.locked === true;
}

type RecordRow = { readonly batch_id: string } & (
  | { readonly kind: "answered"; readonly fingerprint: string; readonly answer: StoredAnswer }
  | { readonly kind: "cut-off"; readonly fingerprint: null; readonly answer: { readonly parameters: string } }
);

/** The record of the key; undefined: none, or none any more. The caller holds the key's lock. */
export async function findRecord(
  db: pg.Pool | pg.PoolClient,
  { apiKeyId, idempotencyKey }: KeyedAsker,
): Promise<IdempotencyRecord | undefined> {
  const { rows } = await db.query<RecordRow>(
    `select kind, batch_id, fingerprint, answer from avatars.idempotency_keys
     where api_key_id = $1 and key = $2 and created_at > now() - ${keptFor}`,
    [apiKeyId, idempotencyKey],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { batch_id: batchId } = row;
  return row.kind === "cut-off"
    ? { kind: row.kind, batchId, parameters: row.answer.parameters }
    : { kind: row.kind, batchId, fingerprint: row.fingerprint, answer: row.answer };
}

/** Writes the record of the key, in place of an earlier one. */
export async function saveRecord(
  client: pg.PoolClient,
  { apiKeyId, idempotencyKey }: KeyedAsker,
  record: IdempotencyRecord,
): Promise<void> {
  const isAnswered = record.kind === "answered";
  await client.query(
    `insert into avatars.idempotency_keys as k (api_key_id, key, kind, batch_id, fingerprint, answer)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (api_key_id, key) do update set
       kind = excluded.kind, batch_id = excluded.batch_id, fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = now()`,
    [
      apiKeyId,
      idempotencyKey,
      record.kind,
      record.batchId,
      isAnswered ? record.fingerprint : null,
      JSON.stringify(isAnswered ? record.answer : { parameters: record.parameters }),
    ],
  );
}

/** The key stands for nothing any more. */
export async function deleteRecord(
  client: pg.PoolClient,
  { apiKeyId, idempotencyKey }: KeyedAsker,
): Promise<void> {
  await client.query(`delete from avatars.idempotency_keys where api_key_id = $1 and key = $2`, [
    apiKeyId,
    idempotencyKey,
  ]);
}

const deletedAtOnce = 500;

/**
 * Deletes the keys that are remembered no longer, in small steps that commit. Any number of processes may do so at once.
 * Returns how many it has deleted.
 */
export async function deleteOldRecords(pool: pg.Pool): Promise<number> {
  let deleted = 0;
  for (;;) {
    const { rowCount } = await pool.query(
      `delete from avatars.idempotency_keys k using (
         select api_key_id, key from avatars.idempotency_keys
         where created_at <= now() - ${keptFor} limit ${deletedAtOnce} for update skip locked
       ) old
       where k.api_key_id = old.api_key_id and k.key = old.key`,
    );
    deleted += rowCount ?? 0;
    if (!rowCount) return deleted;
  }
}
