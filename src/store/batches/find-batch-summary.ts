import type pg from "pg";
import type { BatchSummary } from "../../domain/views/batch.ts";
import { isThereSql, summaryColumnsSql, toSummary, type SummaryRow } from "./batch-sql.ts";
import { isUuid } from "../../lib/uuid.ts";

const sql = `select ${summaryColumnsSql} from avatars.batches b where b.id = $1 and ${isThereSql}`;

/** The batch without what has to be counted: one probe. Undefined: no such batch. */
export async function findBatchSummary(pool: pg.Pool, batchId: string): Promise<BatchSummary | undefined> {
  if (!isUuid(batchId)) return undefined;
  const { rows } = await pool.query<SummaryRow>({ name: "find-batch-summary", text: sql, values: [batchId] });
  return rows[0] && toSummary(rows[0]);
}
