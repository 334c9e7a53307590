import type pg from "pg";
import type { Actor } from "../../domain/audit.ts";
import type { NewBatch } from "../../domain/requests/batch-request.ts";
import type { IncomingContact, IntakeCounts } from "../../domain/requests/incoming-contact.ts";
import { UserError } from "../../lib/errors.ts";
import { recordAudit } from "../audit/record-audit.ts";
import { waitBriefly } from "../postgres/brief-locks.ts";
import { codeOf } from "../postgres/database.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { toCreationEntry } from "./open-batch.ts";
import { patiently, retryTransient } from "../postgres/retry-transient.ts";
import { acceptStaged, stageContacts } from "./stage-contacts.ts";
import { foreignKeyViolation } from "../postgres/sqlstate.ts";
import { toStorableText } from "../postgres/storable-text.ts";
import { transact, withClient } from "../postgres/with-client.ts";

/**
 * Opens a batch. Until {@link finishIntake} it is visibly incomplete. Returns its id.
 * @throws UserError `unknown-instance`, also where the instance is removed at the same moment
 */
export async function createBatch(pool: pg.Pool | pg.PoolClient, batch: NewBatch): Promise<string> {
  try {
    return await insertBatch(pool, batch);
  } catch (cause) {
    if (codeOf(cause) !== foreignKeyViolation) throw cause;
    throw new UserError("unknown-instance", `there is no instance ${batch.instanceId}`, { cause });
  }
}

/** {@link createBatch} for a person or a program, as the audit log tells. */
export async function createBatchFor(pool: pg.Pool, batch: NewBatch, by: Actor): Promise<string> {
  return inTransaction(pool, async (client) => {
    const batchId = await createBatch(client, batch);
    await recordAudit(client, by, toCreationEntry(batchId, batch));
    return batchId;
  });
}

async function insertBatch(pool: pg.Pool | pg.PoolClient, batch: NewBatch): Promise<string> {
  const { rows } = await pool.query<{ id: string }>(
    `insert into avatars.batches (instance_id, source, label, priority, fresh_after)
     values ($1, $2, $3, $4, now() - $5::float8 * interval '1 ms') returning id`,
    [
      batch.instanceId,
      batch.source,
      batch.label === undefined ? null : toStorableText(batch.label),
      batch.priority,
      batch.maxAgeMs,
    ],
  );
  return rows[0]!.id;
}

/** Ends the intake: the input has been read. A chunk that was sent twice has counted its contacts as duplicates: no longer. */
export async function finishIntake(
  pool: pg.Pool | pg.PoolClient,
  batchId: string,
  counts: Pick<IntakeCounts, "contacts" | "rejected">,
): Promise<void> {
  await pool.query(
    `update avatars.batches
     set completed_intake_at = now(), rejected = $2, duplicates = greatest($3 - accepted, 0) where id = $1`,
    [batchId, counts.rejected, counts.contacts],
  );
}

/**
 * Reserves a turn for each contact of a chunk, in a transaction of its own. Chunks of one batch are written side by side, and
 * must not share turns. `avatars.accept` gives back what it does not use. The commit need not wait for the disk: that of the
 * chunk does, and comes later. Returns the turn before the first; null: no such batch.
 */
async function reserveTurns(client: pg.PoolClient, batchId: string, turns: number): Promise<string | null> {
  const { rows } = await client.query<{ last_turn: string }>(
    `with quick as (select set_config('synchronous_commit', 'off', true))
     update avatars.batches b
     set last_turn = $2::bigint + greatest(b.last_turn,
       (select i.turns[b.priority + 1] from avatars.instances i where i.id = b.instance_id))
     from quick where b.id = $1 returning b.last_turn - $2::bigint as last_turn`,
    [batchId, turns],
  );
  return rows[0]?.last_turn ?? null;
}

/**
 * Takes a chunk in: COPY into a staging table, then one call of `avatars.accept`, in one transaction. When
 * it resolves the contacts are committed (I1). Sent again it changes nothing. Returns how many contacts were new to the batch.
 * @throws UserError `batch-cancelled`, `batch-complete`: its contacts are not wanted any more, or its input has ended
 */
export async function acceptChunk(
  pool: pg.Pool,
  batchId: string,
  chunk: readonly IncomingContact[],
): Promise<number> {
  let lastTurn: string | null | undefined;
  return retryTransient(patiently, async () =>
    withClient(pool, async (client) => {
      lastTurn ??= await reserveTurns(client, batchId, chunk.length);
      const turn = lastTurn;
      return transact(client, async () => {
        await stageContacts(client, chunk);
        const members = await acceptStaged(client, batchId, turn);
        await assertOpen(client, batchId);
        return members;
      });
    }),
  );
}

/**
 * Takes a whole batch in, in one transaction: when it rejects nothing has happened. It tries once, and does not wait for
 * contacts of other transactions: the caller has others to take in. Returns the batch's id, and how many contacts were new to
 * it.
 */
export async function acceptWhole(
  pool: pg.Pool,
  batch: NewBatch,
  contacts: readonly IncomingContact[],
  rejected: number,
): Promise<{ batchId: string; accepted: number }> {
  return inTransaction(pool, async (client) => {
    await waitBriefly(client);
    const batchId = await createBatch(client, batch);
    let accepted = 0;
    if (contacts.length > 0) {
      await stageContacts(client, contacts);
      accepted = await acceptStaged(client, batchId, null);
    }
    await finishIntake(client, batchId, { contacts: contacts.length, rejected });
    return { batchId, accepted };
  });
}

/**
 * `avatars.accept` has locked the batch. A later cancellation finds the contacts of this chunk, and an earlier one is seen. A
 * batch that is gone was removed meanwhile.
 */
async function assertOpen(client: pg.PoolClient, batchId: string): Promise<void> {
  const { rows } = await client.query<{ cancelled: boolean; complete: boolean }>(
    `select cancelled_at is not null as cancelled, completed_intake_at is not null as complete
     from avatars.batches where id = $1`,
    [batchId],
  );
  if (rows[0]?.cancelled) {
    throw new UserError("batch-cancelled", `batch ${batchId} was cancelled while its contacts were read`);
  }
  if (rows[0] === undefined || rows[0].complete) {
    throw new UserError(
      "batch-complete",
      `batch ${batchId} was ended or removed by somebody else while its contacts were read`,
    );
  }
}
