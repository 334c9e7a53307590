import type pg from "pg";
import { finishBatch } from "./finish-batches.ts";
import { giveUpMembers } from "./give-up-members.ts";
import { isUuid } from "../../lib/uuid.ts";

/** From here on the batch waits for no contact and takes none in, and other cancellations do not count it. */
const sql = `
update avatars.batches set cancelled_at = clock_timestamp()
where id = $1 and finished_at is null and cancelled_at is null`;

/**
 * Cancels a batch: its contacts are not waited for any more, unless by another batch. A batch that is done stays so. The
 * cancellation of one that was cancelled before is brought to its end. It takes about 45 s per million contacts. A batch
 * whose cancellation is interrupted is cancelled all the same. A worker gives up the rest of its contacts
 * (finish-batches.ts). Returns how many contacts no batch waits for any more.
 */
export async function cancelBatch(pool: pg.Pool, batchId: string): Promise<number> {
  if (!isUuid(batchId) || (await finishBatch(pool, batchId))) return 0;
  await pool.query(sql, [batchId]);
  return giveUpMembers(pool, batchId);
}
