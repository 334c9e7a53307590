import type { Actor } from "../../domain/audit.ts";
import type {
  AcceptedRequest,
  Asker,
  BatchRefusal,
  NewBatch,
  RequestedBatch,
} from "../../domain/requests/batch-request.ts";
import type { ContactStream, NotResumable, ReceivedBatch } from "../../domain/requests/contact-stream.ts";
import type { IncomingContact, IntakeCounts } from "../../domain/requests/incoming-contact.ts";
import { importRecords, type ImportOptions, type ImportPorts } from "../../intake/import-records.ts";
import type { IntakeRecord } from "../../intake/records/intake-record.ts";
import { readContacts } from "../../intake/read-contacts.ts";
import { acceptChunk, createBatchFor, finishIntake } from "../../store/accept/accept-chunk.ts";
import { acceptRequest } from "../../store/accept/accept-request.ts";
import type { ReceivePorts } from "../../store/accept/contact-stream.ts";
import { receiveStream } from "../../store/accept/receive-stream.ts";
import { createRequestLocks } from "../../store/accept/request-locks.ts";
import { estimateBatch } from "../../store/batches/batch-eta.ts";
import { createBatchStore, type BatchStore } from "../../store/batches/batch-store.ts";
import { cancelBatch } from "../../store/batches/cancel-batch.ts";
import type { Estimate } from "../../store/batches/estimate-within.ts";
import { findBatchSummary } from "../../store/batches/find-batch-summary.ts";
import { retryBatch } from "../../store/batches/retry-batch.ts";
import { beforeFirst } from "./before-first.ts";
import type { Door } from "./door.ts";

export interface RecordPorts extends Pick<ImportPorts, "reject"> {
  /** Told before any reject: the batch exists from here on, whatever becomes of the input. */
  readonly opened: (batchId: string) => void;
}

/** The batches, for the command line and the API. */
export interface Batches extends BatchStore {
  /**
   * Takes the records of a reader into a new batch, which is opened when the first of them are there.
   * @throws UserError, and any error of the reader; what was committed before stays
   */
  importRecords(
    records: AsyncIterable<readonly IntakeRecord[]>,
    batch: NewBatch,
    options: ImportOptions,
    ports: RecordPorts,
    by: Actor,
  ): Promise<IntakeCounts>;
  /** Takes a whole request in, in one transaction: when it resolves as `accepted` it is committed. */
  accept(
    asker: Asker & { readonly fingerprint: string },
    batch: RequestedBatch,
    contacts: readonly IncomingContact[],
    rejected: number,
  ): Promise<AcceptedRequest | BatchRefusal>;
  /**
   * Takes a stream of contacts in any format in, chunk by chunk, each committed. Cut off, or ended by an error, it leaves
   * a batch that is `incomplete`. The same idempotency key, or `resume`, goes on with it.
   * @throws UserError for an input that cannot be used, or with `strict` at the first line that is no contact
   */
  receive(
    asker: Asker,
    batch: RequestedBatch,
    stream: ContactStream,
  ): Promise<ReceivedBatch | BatchRefusal | NotResumable>;
  /** Ends the batch: it waits for its contacts no more, but another batch may. Returns how many were given up. */
  cancel(batchId: string, by: Actor): Promise<number>;
  /** Asks again for all contacts without a clear answer that is fresh enough. Returns how many. */
  retry(batchId: string, by: Actor): Promise<number>;
}

export function createBatches(door: Door): Batches {
  const { requestsPerSecond: defaultRate } = door.config;
  const estimate: Estimate = (client, batchId) => estimateBatch(client, batchId, defaultRate);
  return {
    ...createBatchStore(door.quick, door.lasting, defaultRate),
    ...createIntake(door, estimate),
    ...createEnding(door),
  };
}

function createIntake(
  { quick, lasting, writes, wake }: Door,
  estimate: Estimate,
): Pick<Batches, "importRecords" | "accept" | "receive"> {
  const receivePorts: ReceivePorts = {
    locks: createRequestLocks(lasting.pool),
    estimate,
    cancel: (batchId) => cancelBatch(lasting.pool, batchId),
    committed: ({ instanceId }) => void wake(instanceId),
    readInto: readContactsInto,
  };
  return {
    async importRecords(records, batch, options, ports, by) {
      const { pool } = lasting;
      let batchId = "";
      const input = beforeFirst(records, async () => {
        batchId = await createBatchFor(pool, batch, by);
        ports.opened(batchId);
      });
      const counts = await importRecords(input, options, {
        ...ports,
        async acceptChunk(chunk) {
          await acceptChunk(pool, batchId, chunk);
          await wake(batch.instanceId);
        },
      });
      await finishIntake(pool, batchId, counts);
      return counts;
    },
    async accept(asker, batch, contacts, rejected) {
      const accepted = await writes.run(batch.instanceId, async () =>
        acceptRequest(quick.pool, estimate, asker, batch, contacts, rejected),
      );
      if (accepted.kind === "accepted") await wake(batch.instanceId);
      return accepted;
    },
    receive: (asker, batch, stream) => receiveStream(lasting.pool, receivePorts, asker, batch, stream),
  };
}

/** The intake of files, for a stream. */
const readContactsInto: ReceivePorts["readInto"] = (stream, ports) =>
  importRecords(
    readContacts(stream.source, {
      signal: stream.signal,
      ...(stream.column !== undefined && { column: stream.column }),
      ...(stream.refColumn !== undefined && { refColumn: stream.refColumn }),
      ...(stream.defaultCountry !== undefined && { defaultCountry: stream.defaultCountry }),
      ...(stream.encoding !== undefined && { encoding: stream.encoding }),
      ...(stream.sheet !== undefined && { sheet: stream.sheet }),
      firstNumber: stream.firstNumber,
      reading: stream.reading,
    }),
    { strict: false, signal: stream.signal },
    ports,
  );

function createEnding({ quick, lasting, passes, wake }: Door): Pick<Batches, "cancel" | "retry"> {
  return {
    async cancel(batchId, by) {
      const batch = await findBatchSummary(quick.pool, batchId);
      if (batch === undefined) return 0;
      return passes.run(batch.instanceId, async () => cancelBatch(lasting.pool, batchId, by));
    },
    async retry(batchId, by) {
      const batch = await findBatchSummary(quick.pool, batchId);
      if (batch === undefined) return 0;
      const asked = await passes.run(batch.instanceId, async () => retryBatch(lasting.pool, batchId, by));
      await wake(batch.instanceId);
      return asked;
    },
  };
}
