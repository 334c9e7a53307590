import type pg from "pg";
import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { interactive } from "../../domain/ledger/due-queue.ts";
import type { RefreshTicket } from "../../domain/requests/refresh-ticket.ts";
import { briefLockMs } from "../postgres/brief-locks.ts";
import { codeOf } from "../postgres/database.ts";
import { briefly, retryTransient } from "../postgres/retry-transient.ts";
import { foreignKeyViolation } from "../postgres/sqlstate.ts";

/**
 * Opens the batch and takes the contact in, by one statement and so in one transaction. A volatile function sees the changes
 * of the statement that calls it. So `avatars.accept` reads the row that the insert has written. The statement itself does
 * not see what the function writes.
 */
const sql = `
with briefly as materialized (
  select set_config('lock_timeout', '${briefLockMs}ms', true) as lock_timeout
), batch as (
  insert into avatars.batches (instance_id, source, priority, fresh_after, completed_intake_at, api_key_id)
  select i.id, 'refresh', ${interactive}, now(), now(), $3 from avatars.instances i, briefly where i.id = $1
  returning id, requested_at
)
select b.id, b.requested_at from batch b
cross join lateral avatars.accept(b.id, array[$2::text], array[null]::text[], array[0]::bigint[]) accepted`;

/**
 * Asks for one contact before all others, whatever is known of it, in a batch of its own. Makes an unknown one. When it
 * resolves it is committed. Undefined: there is no such instance.
 */
export async function refreshContact(
  pool: pg.Pool,
  apiKeyId: string,
  instanceId: InstanceId,
  chatId: ChatId,
): Promise<RefreshTicket | undefined> {
  // Where a lost connection hides that it was committed, one more batch asks for the same.
  const batch = await retryTransient(briefly, async () => accept(pool, [instanceId, chatId, apiKeyId]));
  if (batch === undefined) return undefined;
  const { rows } = await pool.query<{ contact_id: string }>(
    "select contact_id from avatars.batch_members where batch_id = $1",
    [batch.id],
  );
  return { batchId: batch.id, contactId: Number(rows[0]?.contact_id ?? 0), requestedAt: batch.requested_at };
}

async function accept(
  pool: pg.Pool,
  values: string[],
): Promise<{ id: string; requested_at: Date } | undefined> {
  try {
    const { rows } = await pool.query<{ id: string; requested_at: Date }>({
      name: "refresh-contact",
      text: sql,
      values,
    });
    return rows[0];
  } catch (error) {
    // The instance was removed while we were at it.
    if (codeOf(error) === foreignKeyViolation) return undefined;
    throw error;
  }
}
