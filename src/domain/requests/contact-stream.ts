import type { Readable } from "node:stream";
import type { AcceptedBatch } from "./batch-request.ts";
import type { Reject } from "./incoming-contact.ts";
import type { Reading } from "./reading.ts";

/** A stream of contacts in any format that is told by its bytes, and how it is to be read. */
export interface ContactStream {
  /** Bytes. The receiver reads them to their end, unless they cannot be used, and never destroys the stream. */
  readonly source: Readable;
  /** The first line that is no contact ends it, and the batch is given up. */
  readonly strict: boolean;
  readonly column: string | undefined;
  readonly refColumn: string | undefined;
  readonly defaultCountry: string | undefined;
  /** Of each record the likeliest mobile alone. */
  readonly firstNumber: boolean;
  readonly encoding: string | undefined;
  /** Of a workbook. */
  readonly sheet: string | undefined;
  /** Filled in while the stream is read. */
  readonly reading: Reading;
  /** The batch to go on with, which must be incomplete and of the same instance. */
  readonly resume: string | undefined;
  readonly signal: AbortSignal;
  /** Called as soon as the batch exists. */
  readonly opened: (batchId: string) => void;
  /** Called when the batch exists no longer: nothing of the input could be used. */
  readonly takenBack: () => void;
}

/** A stream that was read to its end. */
export interface ReceivedBatch extends AcceptedBatch {
  /** True: the stream went on with a batch that had been cut off. */
  readonly resumed: boolean;
  /** The first hundred records that are no contacts. */
  readonly rejects: readonly Reject[];
  /** Records that gave more than one contact. */
  readonly several: number;
}

/** The batch to go on with is complete, of another instance, or not there. */
export interface NotResumable {
  readonly kind: "not-resumable";
}
