import type { QueuedContact } from "./due-queue.ts";
import type { ContactDecision } from "../lookup/decide.ts";
import type { InstanceId } from "../instance-id.ts";
import type { Refresh } from "../refresh/refresh-policy.ts";

/** What one finished lookup writes to the ledger. */
export interface LookupRecord {
  readonly contactId: number;
  readonly instanceId: InstanceId;
  /** The lease under which the contact was asked for: the fence for everything but a clear answer. */
  readonly epoch: number;
  /** When the call was sent, ms by the database's clock: the fence for clear answers (I4). */
  readonly askedAtMs: number;
  readonly decision: ContactDecision;
  /** As it was asked: its attempts, the fence for failures, and its place in its queue, where the record leaves it due. */
  readonly contact?: QueuedContact;
  /** When it is due again, if it rests now. Undefined: nothing has changed about that. */
  readonly refresh: Refresh | undefined;
}
