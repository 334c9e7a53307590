import type { RequestedBatch } from "../../domain/requests/batch-request.ts";
import type { ContactStream } from "../../domain/requests/contact-stream.ts";
import type { IncomingContact, IntakeCounts, Reject } from "../../domain/requests/incoming-contact.ts";
import type { Estimate } from "../batches/estimate-within.ts";
import type { RequestLocks } from "./request-locks.ts";

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
  readonly reject: (reject: Reject) => void;
}
