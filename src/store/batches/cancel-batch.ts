import type pg from "pg";
import { finishBatch } from "./finish-batches.ts";
import { giveUpMembers } from "./give-up-members.ts";
import { isUuid } from "../../lib/uuid.ts";

/** From here on it is waited for by nobody, no contact is added to it, and other cancellations do not count it. */
const sql = `
update avatars.batches set cancelled_at = clock_timestamp()
where id = $1 and finished_at is null and cancelled_at is null`;

/**
 * Nobody waits for the batch's contacts any more, unless for another batch. A batch that is done stays so. One that was
 * cancelled before is brought to its end. Large ones take a while, about 45 s per million contacts; when it is interrupted, the
 * batch is cancelled all the same, and a worker gives up the rest of its contacts (finish-batches.ts).
 * Returns how many contacts nobody waits for any more.
 */
export async function cancelBatch(pool: pg.Pool, batchId: string): Promise<number> {
  if (!isUuid(batchId) || (await finishBatch(pool, batchId))) return 0;
  await pool.query(sql, [batchId]);
  return giveUpMembers(pool, batchId);
}
