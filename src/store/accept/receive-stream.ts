import { createHash, randomUUID } from "node:crypto";
import type pg from "pg";
import type { Asker, BatchRefusal, RequestedBatch } from "../../domain/requests/batch-request.ts";
import type { ContactStream, NotResumable, ReceivedBatch } from "../../domain/requests/contact-stream.ts";
import type { IntakeCounts, Reject } from "../../domain/requests/incoming-contact.ts";
import { namePlace, type Reading } from "../../domain/requests/reading.ts";
import { UserError } from "../../lib/errors.ts";
import { tapDigest } from "./tap-digest.ts";
import { acceptChunk } from "./accept-chunk.ts";
import { toTaken } from "./accept-request.ts";
import { codeOf } from "../postgres/database.ts";
import { closeIntake } from "./close-intake.ts";
import {
  deleteRecord,
  findRecord,
  hasKey,
  saveRecord,
  toKeyLock,
  type IdempotencyRecord,
} from "./idempotency-records.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { openBatch } from "./open-batch.ts";
import type { LockHold } from "./request-locks.ts";
import { briefly, patiently, retryTransient } from "../postgres/retry-transient.ts";
import { foreignKeyViolation, noDataFound } from "../postgres/sqlstate.ts";
import { TryAgainError } from "../postgres/try-again-error.ts";
import type { ReceivePorts } from "./contact-stream.ts";

type Outcome = ReceivedBatch | BatchRefusal | NotResumable;

const maxRejects = 100;

/**
 * Takes a stream of contacts into a batch, chunk by chunk, each committed, in constant memory. A stream that is cut off, or
 * ends with an error, leaves an incomplete batch, if it had contacts. The same idempotency key, or `resume`, goes on with it.
 * No other request writes to the batch meanwhile.
 *
 * A stream that comes again under an answered key is read to its end. Only then it is known to be the same.
 * @throws UserError for an input that cannot be used; `bad-line` with `strict`; `batch-cancelled` when it was cancelled meanwhile
 */
export async function receiveStream(
  pool: pg.Pool,
  ports: ReceivePorts,
  asker: Asker,
  batch: RequestedBatch,
  given: ContactStream,
): Promise<Outcome> {
  // The lock is on the id as a text, which has to be the same for all.
  const stream = { ...given, resume: given.resume?.toLowerCase() };
  // The source may fail before it is read, or after.
  stream.source.on("error", () => undefined);
  const hold = ports.locks.hold();
  const reception = { pool, ports, asker, batch, stream, hold, parameters: toParameters(batch, stream) };
  try {
    return await receive(reception);
  } catch (error) {
    // The batch is gone, and with it its instance.
    if (codeOf(error) === noDataFound || codeOf(error) === foreignKeyViolation)
      return { kind: "unknown-instance" };
    throw error;
  } finally {
    await hold.release();
  }
}

interface Reception {
  readonly pool: pg.Pool;
  readonly ports: ReceivePorts;
  readonly asker: Asker;
  readonly batch: RequestedBatch;
  readonly stream: ContactStream;
  readonly hold: LockHold;
  /** Digest of all that the request says beside its body. */
  readonly parameters: string;
}

async function receive(reception: Reception): Promise<Outcome> {
  const { pool, asker, stream, hold, parameters } = reception;
  let record: IdempotencyRecord | undefined;
  if (hasKey(asker)) {
    if (!(await retryTransient(briefly, async () => hold.tryAdd(toKeyLock(asker)))))
      return { kind: "in-progress" };
    record = await retryTransient(briefly, async () => findRecord(pool, asker));
    if (record?.kind === "answered") return replay(reception, record);
    if (record && record.parameters !== parameters) return { kind: "other-body" };
    if (record && record.batchId !== (stream.resume ?? record.batchId)) return { kind: "other-body" };
  }
  const known = stream.resume ?? record?.batchId;
  const batchId = known ?? randomUUID();
  if (!(await retryTransient(briefly, async () => hold.tryAdd(`batch:${batchId}`))))
    return { kind: "in-progress" };
  const opening = await retryTransient(briefly, async () => open(reception, batchId, known !== undefined));
  if (opening.kind !== "open") return opening;
  stream.opened(batchId);
  return readToEnd(reception, batchId, opening.resumed);
}

/** Opens the batch, or finds out whether it can be gone on with, and notes it under the idempotency key. */
async function open(
  { pool, asker, batch, stream, parameters }: Reception,
  batchId: string,
  isKnown: boolean,
): Promise<{ kind: "open"; resumed: boolean } | BatchRefusal | NotResumable> {
  return inTransaction(pool, async (client) => {
    const found = isKnown ? await findState(client, batchId, batch) : "absent";
    if (found === "closed" || (found === "absent" && stream.resume !== undefined))
      return { kind: "not-resumable" };
    if (found === "absent") {
      const { kind } = await openBatch(client, batchId, asker, batch, undefined);
      if (kind === "unknown-instance") return { kind };
    }
    if (hasKey(asker)) await saveRecord(client, asker, { kind: "cut-off", batchId, parameters });
    return { kind: "open", resumed: found === "open" };
  });
}

/** The writer of a stream locks its batch, an import does not: it is not gone on with. */
async function findState(
  client: pg.PoolClient,
  batchId: string,
  { instanceId, source }: RequestedBatch,
): Promise<"open" | "closed" | "absent"> {
  const { rows } = await client.query<{ open: boolean }>(
    `select completed_intake_at is null and cancelled_at is null and instance_id = $2 and source = $3 as open
     from avatars.batches where id = $1`,
    [batchId, instanceId, source],
  );
  if (rows[0] === undefined) return "absent";
  return rows[0].open ? "open" : "closed";
}

async function readToEnd(reception: Reception, batchId: string, resumed: boolean): Promise<Outcome> {
  const { pool, ports, asker, batch, stream, hold, parameters } = reception;
  const tapped = tapDigest(stream.source);
  const { rejects, reject, getBadLine } = collectRejects(stream);
  let counts: IntakeCounts;
  try {
    counts = await ports.readInto(
      { ...stream, source: tapped.passing },
      {
        reject,
        async acceptChunk(contacts) {
          // Contacts from before a bad line are given up with the rest.
          if (getBadLine()) return;
          await acceptChunk(pool, batchId, contacts);
          ports.committed(batch);
          if (hold.isLost && !(await retryTransient(patiently, async () => hold.ensure()))) {
            throw new TryAgainError("another request goes on with the batch");
          }
        },
      },
    );
    if (counts.contacts + counts.rejected === 0) throw noContacts();
  } catch (error) {
    if (!(error instanceof UserError) || tapped.isCutOff() || stream.signal.aborted) throw error;
    if (error.code === "batch-complete") throw new TryAgainError(error.message);
    await giveUp(reception, batchId, { isNew: !resumed, isBad: error === getBadLine() });
    throw error;
  }
  const fingerprint = toFingerprint(parameters, await tapped.digest());
  const closed = await closeIntake(pool, {
    batchId,
    counts,
    hold,
    estimate: ports.estimate,
    async note(client, answer) {
      if (!hasKey(asker)) return;
      await saveRecord(client, asker, {
        kind: "answered",
        batchId,
        fingerprint,
        answer: { ...answer, resumed },
      });
    },
  });
  const { several } = counts;
  return closed.kind === "accepted" ? { ...closed, resumed, rejects, several } : closed;
}

/**
 * Gives up an input that cannot be used. A new batch that has nothing yet is taken back. A batch with a bad line, where none
 * may be, is cancelled. Its key is free for the corrected input then. Others stay, incomplete.
 */
async function giveUp(
  { pool, ports, asker, stream }: Reception,
  batchId: string,
  { isNew, isBad }: { readonly isNew: boolean; readonly isBad: boolean },
): Promise<void> {
  const forget = async (onlyEmpty: boolean) =>
    inTransaction(pool, async (client) => {
      const isGone = onlyEmpty && (await deleteEmptyBatch(client, batchId));
      if (hasKey(asker) && (isGone || !onlyEmpty)) await deleteRecord(client, asker);
      return isGone;
    });
  // Where it cannot be taken back an empty batch stays, and the input is no better for it.
  if (isNew && (await retryTransient(briefly, async () => forget(true)).catch(() => false))) {
    return stream.takenBack();
  }
  if (!isBad) return;
  await retryTransient(briefly, async () => forget(false));
  await ports.cancel(batchId);
}

async function deleteEmptyBatch(client: pg.PoolClient, batchId: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `delete from avatars.batches b
     where b.id = $1 and b.accepted = 0 and b.completed_intake_at is null and b.cancelled_at is null
       and not exists (select from avatars.batch_members m where m.batch_id = b.id)`,
    [batchId],
  );
  return rowCount === 1;
}

/** Reads the body of a request that was answered before, and gives the same answer if it is the same. */
async function replay(
  { ports, stream, parameters }: Reception,
  record: IdempotencyRecord & { readonly kind: "answered" },
): Promise<Outcome> {
  // Other parameters, or no stream at all: no body can be the same.
  if (!record.fingerprint.startsWith(toFingerprint(parameters, ""))) return { kind: "other-body" };
  const tapped = tapDigest(stream.source);
  const { rejects, reject } = collectRejects(stream);
  let several: number;
  try {
    const sink = { acceptChunk: async () => {}, reject };
    ({ several } = await ports.readInto({ ...stream, source: tapped.passing }, sink));
  } catch (error) {
    // The first one had no error, or there would be no answer.
    if (error instanceof UserError && !tapped.isCutOff() && !stream.signal.aborted)
      return { kind: "other-body" };
    throw error;
  }
  if (toFingerprint(parameters, await tapped.digest()) !== record.fingerprint) return { kind: "other-body" };
  const { resumed = false } = record.answer;
  return { ...toTaken(record.batchId, record.answer), resumed, rejects, several };
}

function collectRejects({ strict, reading }: Pick<ContactStream, "strict" | "reading">) {
  const rejects: Reject[] = [];
  let badLine: UserError | undefined;
  return {
    rejects,
    getBadLine: () => badLine,
    reject({ position, place, text, reason }: Reject) {
      const reject = { position, ...(place !== undefined && { place }), text, reason };
      if (strict) throw (badLine = toBadLine(reject, reading));
      if (rejects.length < maxRejects) rejects.push(reject);
    },
  };
}

function toBadLine(reject: Reject, reading: Reading): UserError {
  const { reason, text } = reject;
  const shown = reason.includes(text) ? "" : ` ("${text}")`;
  return new UserError(
    "bad-line",
    `${namePlace(reject, reading)}: ${reason}${shown}. Nothing was taken in, since all ${reading.unit}s have to be contacts`,
  );
}

function toFingerprint(parameters: string, body: string): string {
  return `stream:${parameters}:${body}`;
}

function toParameters(batch: RequestedBatch, stream: ContactStream): string {
  const { instanceId, source, label, priority, maxAgeMs, callbackUrl } = batch;
  const { strict, column, refColumn, defaultCountry, firstNumber, encoding, sheet } = stream;
  const isNewer = firstNumber || encoding !== undefined || sheet !== undefined;
  // JSON makes null of what is undefined. Without `resume`: the key alone goes on with the same batch.
  const all = [
    instanceId,
    source,
    label,
    priority,
    maxAgeMs,
    callbackUrl,
    strict,
    column,
    refColumn,
    defaultCountry,
    // Left out where none is given: keys of an earlier version stay good.
    ...(isNewer ? [firstNumber, encoding, sheet] : []),
  ];
  return createHash("sha256").update(JSON.stringify(all)).digest("base64url");
}

/** An input without contacts is a mistake, such as a file whose line breaks were taken out on its way. */
function noContacts(): UserError {
  return new UserError(
    "no-contacts",
    "there are no contacts in the input; with curl send a file by -T or --data-binary: -d takes its line breaks out",
  );
}
