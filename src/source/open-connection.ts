import { Socket } from "node:net";
import pg from "pg";
import { settleWithin } from "../lib/deadline.ts";

export interface SourceConnection {
  /** Runs one statement; a text of several is refused. Every value comes as the text that the server writes. */
  run(sql: string, values?: readonly string[]): Promise<pg.QueryArrayResult<(string | null)[]>>;
  /** Says goodbye where nothing runs, and hangs up in any case. Never fails. */
  close(): Promise<void>;
}

/** Every wait has an end. */
export interface SourceDeadlines {
  /** From the first packet to a session. */
  readonly connectMs: number;
  /** For each fetch, the first of which may have to sort everything. */
  readonly fetchMs: number;
  /** The server ends the transaction when nothing was fetched for so long: we may have died without a word. */
  readonly idleMs: number;
}

/** Numbers of any size stay exact, and dates mean nothing here. */
const asText: pg.CustomTypesConfig = { getTypeParser: () => (text: string | Buffer) => text };
/** A server that vanished without a word: the statement fails here, somewhat later than it would there. */
const patienceMs = 5_000;
const closeDeadlineMs = 2_000;
const longestTimerMs = 2 ** 31 - 1;

/**
 * Opens a connection that may only read.
 * @param signal hangs up at once, also while connecting or in the middle of a statement, which then fails
 * @throws what `pg` throws
 */
export async function openConnection(
  url: string,
  { connectMs, fetchMs }: SourceDeadlines,
  signal: AbortSignal | undefined,
): Promise<SourceConnection> {
  // Ours, since pg does not hang up in all states.
  const socket = new Socket();
  const client = new pg.Client({
    connectionString: toReadOnlyUrl(url),
    connectionTimeoutMillis: connectMs,
    query_timeout: Math.min(fetchMs + patienceMs, longestTimerMs),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: "contact-avatars",
    stream: () => socket,
  });
  // A connection that is lost between two statements: the next one tells.
  client.on("error", () => undefined);
  const hangUp = () => void socket.destroy();
  const close = async () => {
    await settleWithin(client.end(), closeDeadlineMs).catch(() => undefined);
    signal?.removeEventListener("abort", hangUp);
    hangUp();
  };
  signal?.addEventListener("abort", hangUp, { once: true });
  try {
    await client.connect();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    run(sql, values = []) {
      // pg knows this mode, its types do not yet.
      const statement: pg.QueryArrayConfig & { readonly queryMode: "extended" } = {
        text: sql,
        values: [...values],
        rowMode: "array",
        types: asText,
        queryMode: "extended",
      };
      return client.query<(string | null)[]>(statement);
    },
    close,
  };
}

/** A second lock: should the transaction end in spite of all, the next one could not write either. */
function toReadOnlyUrl(text: string): string {
  const url = new URL(text);
  const options = [url.searchParams.get("options"), "-c default_transaction_read_only=on"];
  url.searchParams.set("options", options.filter((option) => option !== null).join(" "));
  return url.href;
}
