import type { LeasedInstance } from "../../domain/ledger/lease.ts";
import type { QueuedContact } from "../../domain/ledger/due-queue.ts";
import type { TakenSlot } from "../lane/lane-slots.ts";

/** A call that is about to be sent. */
export interface Call {
  readonly slot: TakenSlot;
  /** The slot's. */
  readonly askedAtMs: number;
  /** The slot's. */
  readonly sentAt: number;
  /** The lease that it is sent under. */
  readonly epoch: number;
  readonly contact: QueuedContact;
  readonly instance: LeasedInstance;
}
