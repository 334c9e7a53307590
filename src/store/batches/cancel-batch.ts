import type pg from "pg";
import type { Actor } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { recordAudit } from "../audit/record-audit.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { finishBatch } from "./finish-batches.ts";
import { giveUpMembers } from "./give-up-members.ts";
import { isUuid } from "../../lib/uuid.ts";

/** From here on the batch waits for no contact and takes none in, and other cancellations do not count it. */
const sql = `
update avatars.batches set cancelled_at = clock_timestamp()
where id = $1 and finished_at is null and cancelled_at is null
returning instance_id`;

/**
 * Cancels a batch: its contacts are not waited for any more, unless by another batch. A batch that is done stays so. The
 * cancellation of one that was cancelled before is brought to its end. It takes about 45 s per million contacts. A batch
 * whose cancellation is interrupted is cancelled all the same. A worker gives up the rest of its contacts
 * (finish-batches.ts). Returns how many contacts no batch waits for any more.
 * @param by undefined: the product itself
 */
export async function cancelBatch(pool: pg.Pool, batchId: string, by?: Actor): Promise<number> {
  if (!isUuid(batchId) || (await finishBatch(pool, batchId))) return 0;
  await inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ instance_id: InstanceId }>(sql, [batchId]);
    for (const { instance_id: instanceId } of rows)
      await recordAudit(client, by, { action: "batch.cancelled", subjectId: batchId, instanceId });
  });
  return giveUpMembers(pool, batchId);
}
