import type pg from "pg";
import type { ContactStatus } from "../../domain/contact-status.ts";
import type { ResultFilter, ResultRow } from "../../domain/views/result-row.ts";
import { isThereSql } from "./batch-sql.ts";
import { TryAgainError } from "../postgres/try-again-error.ts";
import { toShownText } from "../postgres/shown-text-sql.ts";
import { imageJoinsSql, toContactImage, toImageColumns, type ImageRow } from "../images/image-columns-sql.ts";

const fetchSize = 5_000;

interface ResultPageRow extends ImageRow {
  instance_id: string;
  chat_id: string;
  external_ref: string | null;
  status: ContactStatus;
  url: string | null;
  url_expires_at: Date | null;
  checked_at: Date | null;
  attempts: number;
  last_error: string | null;
  position: string | null;
}

/**
 * Reads all results in a stable order: a batch's in that of its input, others by their contacts' ids. A cursor keeps memory
 * flat, and has the rows sorted once. A batch that is removed meanwhile is read to its end all the same.
 * @throws TryAgainError where the batch is not there, or not any more
 */
export async function* readResults(pool: pg.Pool, filter: ResultFilter): AsyncGenerator<ResultRow> {
  const client = await pool.connect();
  try {
    await client.query("begin read only");
    await client.query(toCursorSql(filter), [
      filter.instanceId ?? null,
      filter.statuses ?? null,
      ...(filter.batchId === undefined ? [] : [filter.batchId]),
    ]);
    if (filter.batchId !== undefined) await assertWhole(client, filter.batchId);
    for (;;) {
      const { rows } = await client.query<ResultPageRow>(`fetch ${fetchSize} from results`);
      for (const row of rows) yield toResultRow(row);
      if (rows.length < fetchSize) return;
    }
  } finally {
    // Ends the transaction too, also where the reader has had enough.
    client.release(true);
  }
}

/** The cursor sees what there was before this: a batch that is there now has not lost anything by then. */
async function assertWhole(client: pg.PoolClient, batchId: string): Promise<void> {
  const { rowCount } = await client.query(
    `select from avatars.batches b where b.id = $1::uuid and ${isThereSql}`,
    [batchId],
  );
  if (!rowCount) throw new TryAgainError(`batch ${batchId} was removed before it was read`);
}

function toCursorSql(filter: ResultFilter): string {
  const [source, order, position] =
    filter.batchId === undefined
      ? ["avatars.contacts c", "c.id", "null"]
      : [
          "avatars.batch_members m join avatars.contacts c on c.id = m.contact_id and m.batch_id = $3::uuid",
          "m.position, c.id",
          "m.position",
        ];
  return `declare results no scroll cursor for
    select c.instance_id, c.chat_id, ${toShownText("c.external_ref")} as external_ref, c.status,
      a.url, a.url_expires_at, c.checked_at, c.attempts, c.last_error, ${position} as position, ${toImageColumns("c.id")}
    from ${source} left join avatars.avatars a on a.contact_id = c.id
    ${imageJoinsSql}
    where ($1::text is null or c.instance_id = $1) and ($2::text[] is null or c.status = any($2))
    order by ${order}`;
}

function toResultRow(row: ResultPageRow): ResultRow {
  return {
    instanceId: row.instance_id,
    chatId: row.chat_id,
    externalRef: row.external_ref ?? undefined,
    status: row.status,
    avatarUrl: row.url ?? undefined,
    urlExpiresAt: row.url_expires_at ?? undefined,
    checkedAt: row.checked_at ?? undefined,
    attempts: row.attempts,
    lastError: row.last_error ?? undefined,
    image: toContactImage(row),
    position: row.position === null ? undefined : Number(row.position),
  };
}
