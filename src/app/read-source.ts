import type { IntakeRecord } from "../intake/records/intake-record.ts";
import type { ContactColumns } from "../intake/reader-options.ts";
import { readRows } from "../intake/read-rows.ts";
import { readQuery, type QueryOptions } from "../source/read-query.ts";

export interface SourceOptions extends ContactColumns, Omit<QueryOptions, "deadlines"> {
  /** ms, for each fetch of up to 1,000 rows. */
  readonly fetchMs: number;
}

const connectMs = 10_000;
/** Our own database may be waited for, but not for ever: an old transaction keeps the source from tidying up. */
const idleMs = 600_000;

/**
 * Reads contacts from another program's Postgres, in chunks of at most 1,000; see readQuery and readRows. Nothing is done
 * before the first is asked for. The `position` of a record is the number of its row, from 1.
 * @throws UserError `unknown-country` at once; later for faults of the source or its columns
 */
export function readSource(options: SourceOptions): AsyncIterable<readonly IntakeRecord[]> {
  const { url, query, fetchMs, signal, ...columns } = options;
  const deadlines = { connectMs, fetchMs, idleMs };
  return readRows(readQuery({ url, query, deadlines, ...(signal && { signal }) }), columns);
}
