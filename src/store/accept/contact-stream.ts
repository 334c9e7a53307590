import type { Readable } from "node:stream";
import type { TakenBatch } from "./accept-request.ts";
import type { IntakeCounts } from "./accept-chunk.ts";
import type { Estimate } from "../batches/estimate-within.ts";
import type { RequestedBatch } from "./open-batch.ts";
import type { RequestLocks } from "./request-locks.ts";
import type { IncomingContact } from "./stage-contacts.ts";

export interface ReceivePorts {
  readonly locks: RequestLocks;
  readonly estimate: Estimate;
  /**
   * Reads the source to its end and hands on what it finds. When it settles nothing of it is at work any more. It need not
   * care about `strict`: `reject` throws then.
   * @throws UserError for an input that cannot be used
   */
  readonly readInto: (stream: ContactStream, sink: ContactSink) => Promise<IntakeCounts>;
  /** Gives up a batch that turned out to have a bad line, with `strict`. */
  readonly cancel: (batchId: string) => Promise<unknown>;
  /** Told whenever contacts of the instance have been committed. */
  readonly committed: (batch: RequestedBatch) => void;
}

export interface ContactSink {
  /** Takes contacts in; when it resolves they are committed. Two at a time are welcome. */
  readonly acceptChunk: (contacts: readonly IncomingContact[]) => Promise<void>;
  /** Told of each line that is no contact, in the order of the input. */
  readonly reject: (reject: RejectedLine) => void;
}

export interface RejectedLine {
  readonly line: number;
  readonly text: string;
  readonly reason: string;
}

export interface ContactStream {
  /** Bytes. It is read to its end, unless it cannot be used, and never destroyed here. */
  readonly source: Readable;
  /** The first line that is no contact ends it, and the batch is given up. */
  readonly strict: boolean;
  readonly column: string | undefined;
  readonly refColumn: string | undefined;
  readonly defaultCountry: string | undefined;
  /** Goes on with this batch. */
  readonly resume: string | undefined;
  readonly signal: AbortSignal;
  /** Told as soon as the batch exists. */
  readonly opened: (batchId: string) => void;
  /** Told when the batch exists no longer: nothing of the input could be used. */
  readonly takenBack: () => void;
}

export interface ReceivedStream extends TakenBatch {
  /** True: the stream went on with a batch that had been cut off. */
  readonly resumed: boolean;
  /** The first hundred lines that are no contacts. */
  readonly rejects: readonly RejectedLine[];
}

export interface NotResumable {
  readonly kind: "not-resumable";
}
