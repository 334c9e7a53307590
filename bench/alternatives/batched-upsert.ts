import type pg from "pg";
import type { AvatarRow } from "./look-up.ts";

/** Writes rows that come one by one in few statements. */
export interface BatchedUpsert {
  /** Resolves when the row is committed. */
  save(row: AvatarRow): Promise<void>;
}

const upsert = `
insert into avatars (chat_id, status, url, checked_at)
select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
on conflict (chat_id) do update
set status = excluded.status, url = excluded.url, checked_at = excluded.checked_at
where avatars.checked_at < excluded.checked_at`;

export interface BatchedUpsertOptions {
  /** A statement is sent as soon as there are so many rows for it. */
  readonly mostRows: number;
  /** And where they are fewer, so long after the first of them. */
  readonly lingerMs: number;
}

/** No chat may be in the same statement twice: no program here has the same one in flight twice. */
export function createBatchedUpsert(
  database: Pick<pg.Pool, "query">,
  { mostRows, lingerMs }: BatchedUpsertOptions,
): BatchedUpsert {
  let waiting: Batch | undefined;

  function send(batch: Batch): void {
    clearTimeout(batch.timer);
    if (waiting === batch) waiting = undefined;
    batch.done.resolve(write(database, batch.rows));
  }

  return {
    async save(row) {
      const batch = (waiting ??= openBatch(lingerMs, send));
      batch.rows.push(row);
      if (batch.rows.length >= mostRows) send(batch);
      await batch.done.promise;
    },
  };
}

interface Batch {
  readonly rows: AvatarRow[];
  readonly done: { readonly promise: Promise<void>; readonly resolve: (end: Promise<void>) => void };
  readonly timer: NodeJS.Timeout;
}

function openBatch(lingerMs: number, send: (batch: Batch) => void): Batch {
  let settle: ((end: Promise<void>) => void) | undefined;
  const promise = new Promise<void>((resolve) => (settle = resolve));
  const done = { promise, resolve: (end: Promise<void>) => settle?.(end) };
  const batch: Batch = { rows: [], done, timer: setTimeout(() => send(batch), lingerMs) };
  return batch;
}

/** One statement, prepared once for each connection. */
export async function write(database: Pick<pg.Pool, "query">, rows: readonly AvatarRow[]): Promise<void> {
  await database.query({
    name: "upsert",
    text: upsert,
    values: [
      rows.map((row) => row.chatId),
      rows.map((row) => row.status),
      rows.map((row) => row.url),
      rows.map((row) => row.checkedAt),
    ],
  });
}
