import type pg from "pg";
import type { Actor, AuditEntry } from "../../domain/audit.ts";
import { recordAudit } from "../audit/record-audit.ts";
import { inTransaction } from "../postgres/in-transaction.ts";

/** A change, and its row, where there is something that was changed. */
export async function audited<Result>(
  pool: pg.Pool,
  by: Actor,
  entry: AuditEntry,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  return inTransaction(pool, async (client) => {
    const result = await work(client);
    if (result !== false && result !== undefined) await recordAudit(client, by, entry);
    return result;
  });
}
