import type pg from "pg";
import { isWaitedForSql } from "./batch-sql.ts";

/**
 * Moments are compared in SQL, with the batch's own row: a JavaScript date has lost the microseconds. A contact with an
 * answer that is new enough here may be waited for by a later batch.
 */
const sql = `
select t.batch_id from unnest($1::uuid[], $2::bigint[]) as t (batch_id, contact_id)
where (
  select ${isWaitedForSql} from avatars.contacts c cross join avatars.batches b
  where c.id = t.contact_id and b.id = t.batch_id
) is not true`;

/**
 * Finds batches, each of one contact, that need not be waited for any longer. The contact has its answer, or has failed for
 * good, or it or the batch is gone. Two probes each.
 */
export async function findAnswered(
  pool: pg.Pool,
  tickets: readonly { readonly batchId: string; readonly contactId: number }[],
): Promise<string[]> {
  if (tickets.length === 0) return [];
  const values = [tickets.map(({ batchId }) => batchId), tickets.map(({ contactId }) => contactId)];
  const { rows } = await pool.query<{ batch_id: string }>({ name: "find-answered", text: sql, values });
  return rows.map((row) => row.batch_id);
}
