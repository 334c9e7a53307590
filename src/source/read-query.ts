import type pg from "pg";
import type { RowBlock } from "../domain/row-block.ts";
import { toSafeAddress } from "../lib/postgres-url.ts";
import { openConnection, type SourceConnection, type SourceDeadlines } from "./open-connection.ts";
import { toSourceError, type SourcePhase } from "./source-error.ts";

export interface QueryOptions {
  /** `postgres://…` of another program's database. */
  readonly url: string;
  /** A single statement that returns rows: SELECT, WITH … SELECT, VALUES, TABLE. */
  readonly query: string;
  readonly deadlines: SourceDeadlines;
  /** Ends the reading at once, wherever it is, with the signal's reason. */
  readonly signal?: AbortSignal;
}

const maxRows = 1_000;
const cursor = "contact_avatars";

/**
 * The settings of the transaction, as far as the server knows them. A cursor is planned for its first rows unless told that all
 * will be fetched. A server notices that its client has gone only when it writes to it. Some systems let it look before.
 */
const applySettings = `
  select set_config(name, wanted.value, true)
  from (values ('statement_timeout', $1), ('idle_in_transaction_session_timeout', $2), ('cursor_tuple_fraction', '1'),
    ('client_connection_check_interval', '2000')) as wanted (name, value)
  join pg_catalog.pg_settings using (name)
  where name <> 'client_connection_check_interval' or version() ~ 'linux'`;

/**
 * Reads a query's rows in blocks of at most 1,000, each fetched when the one before was taken. Memory does not grow with the
 * result. The first block comes also when there are no rows, for its columns. One connection, one read-only transaction; a
 * query that writes is refused.
 *
 * DECLARE CURSOR takes nothing but a query that reads, and the extended protocol one statement only. So no text of the query
 * can end the transaction. Functions that write are refused by the transaction.
 * @throws UserError with the codes of {@link toSourceError}
 */
export async function* readQuery(options: QueryOptions): AsyncGenerator<RowBlock> {
  const { url, query, deadlines, signal } = options;
  let phase: SourcePhase = "connect";
  let connection: SourceConnection | undefined;
  try {
    signal?.throwIfAborted();
    connection = await openConnection(url, deadlines, signal);
    phase = "declare";
    await connection.run("begin transaction read only");
    await connection.run(applySettings, [String(deadlines.fetchMs), String(deadlines.idleMs)]);
    await connection.run(`declare ${cursor} no scroll cursor without hold for ${query}`);
    phase = "fetch";
    for (;;) {
      const block = toBlock(await connection.run(`fetch forward ${maxRows} from ${cursor}`));
      yield block;
      if (block.rows.length < maxRows) return;
    }
  } catch (error) {
    signal?.throwIfAborted();
    const address = toSafeAddress(url, "the address in its URL");
    throw toSourceError(error, { phase, address, fetchMs: deadlines.fetchMs });
  } finally {
    await connection?.close();
  }
}

function toBlock({ fields, rows }: pg.QueryArrayResult<(string | null)[]>): RowBlock {
  return { columns: fields.map(({ name }) => name), rows };
}
