import type pg from "pg";
import { UserError } from "../../lib/errors.ts";
import type { AcceptedBatch, BatchRefusal } from "../../domain/requests/batch-request.ts";
import type { IntakeCounts } from "../../domain/requests/incoming-contact.ts";
import { toTaken } from "./accept-request.ts";
import { estimateWithin, type Estimate } from "../batches/estimate-within.ts";
import type { StoredAnswer } from "./idempotency-records.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import type { LockHold } from "./request-locks.ts";
import { patiently, retryTransient } from "../postgres/retry-transient.ts";
import { TryAgainError } from "../postgres/try-again-error.ts";

export interface Closing {
  readonly batchId: string;
  readonly counts: Pick<IntakeCounts, "contacts" | "rejected">;
  /** The lock on the batch. Where it was lost, another request may hold it now, or have ended the batch. */
  readonly hold: LockHold;
  readonly estimate: Estimate;
  /** Writes the answer down, in the same transaction. */
  readonly note: (client: pg.PoolClient, answer: StoredAnswer) => Promise<void>;
}

/**
 * Ends the intake of a stream that has been read into the batch to its end. The counts are those of one reading from
 * beginning to end, however often parts of it were sent before.
 * @throws UserError `batch-cancelled`, `not-the-whole`; TryAgainError when another request has ended it
 */
export async function closeIntake(pool: pg.Pool, closing: Closing): Promise<AcceptedBatch | BatchRefusal> {
  /** The answer to give if it turns out that an earlier try was committed. */
  let ours: { readonly completedAt: string; readonly taken: AcceptedBatch } | undefined;

  const close = async (client: pg.PoolClient): Promise<AcceptedBatch | "not-open"> => {
    const ended = await endIntake(client, closing);
    if (ended === undefined) return "not-open";
    const etaMs = await estimateWithin(client, closing.estimate, closing.batchId);
    const { completedAt, ...counts } = ended;
    const answer = { ...counts, etaMs: etaMs ?? null };
    await closing.note(client, answer);
    const taken = { ...toTaken(closing.batchId, answer), replayed: false };
    ours = { completedAt, taken };
    return taken;
  };

  const closed = await retryTransient(patiently, async () => {
    if (!(await closing.hold.ensure())) return "not-held";
    return inTransaction(pool, close);
  });
  if (typeof closed !== "string") return closed;
  const state = await retryTransient(patiently, async () => findEnd(pool, closing.batchId));
  if (state === undefined) return { kind: "unknown-instance" };
  if (ours && ours.completedAt === state.completed_at) return ours.taken;
  if (state.cancelled) {
    throw new UserError(
      "batch-cancelled",
      `batch ${closing.batchId} was cancelled while its contacts were read`,
    );
  }
  if (state.completed_at === null && state.accepted > closing.counts.contacts) {
    throw new UserError(
      "not-the-whole",
      `the input has ${closing.counts.contacts} contacts, but batch ${closing.batchId} has ${state.accepted} from before: send all of the same input again`,
    );
  }
  throw new TryAgainError("another request has ended the batch");
}

async function endIntake(
  client: pg.PoolClient,
  { batchId, counts }: Closing,
): Promise<(Omit<StoredAnswer, "etaMs"> & { readonly completedAt: string }) | undefined> {
  const { rows } = await client.query<{
    requested_at: Date;
    completed_at: string;
    accepted: number;
    duplicates: number;
    rejected: number;
  }>(
    `update avatars.batches set completed_intake_at = now(), rejected = $2, duplicates = greatest($3 - accepted, 0)
     where id = $1 and completed_intake_at is null and cancelled_at is null and accepted <= $3
     returning requested_at, completed_intake_at::text as completed_at, accepted, duplicates, rejected`,
    [batchId, counts.rejected, counts.contacts],
  );
  if (rows[0] === undefined) return undefined;
  const { requested_at: requestedAt, completed_at: completedAt, ...others } = rows[0];
  return { ...others, requestedAt: requestedAt.toISOString(), completedAt };
}

async function findEnd(
  pool: pg.Pool,
  batchId: string,
): Promise<{ completed_at: string | null; cancelled: boolean; accepted: number } | undefined> {
  const { rows } = await pool.query<{ completed_at: string | null; cancelled: boolean; accepted: number }>(
    `select completed_intake_at::text as completed_at, cancelled_at is not null as cancelled, accepted
     from avatars.batches where id = $1`,
    [batchId],
  );
  return rows[0];
}
