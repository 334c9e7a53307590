import type { ContactStatus } from "../contact-status.ts";
import type { CarePause } from "../care/care-pause.ts";
import type { CareView } from "../care/care-view.ts";
import type { InstanceId } from "../instance-id.ts";

/** The standing of one instance. */
export interface InstanceStatus extends CareView {
  readonly instanceId: InstanceId;
  readonly state: "active" | "held" | "paused";
  readonly heldReason: string | undefined;
  readonly heldSince: Date | undefined;
  readonly heldUntil: Date | undefined;
  /** The rate that is set; undefined: the default. */
  readonly requestsPerSecond: number | undefined;
  /** Calls per second that its pace allows now: its rate, or less after refusals and after a hold. */
  readonly callsAllowed: number;
  /** The share of its rate that refusals have left it, up to 1. */
  readonly slowdown: number;
  /** The margin on top of each full second of calls. */
  readonly marginMs: number;
  /** The provider takes no call before this moment, which lies ahead. */
  readonly throttledUntil: Date | undefined;
  /** Why it is not called now by its care, and until when. */
  readonly carePause: CarePause | undefined;
  /** Living processes that have called it in the last ten minutes, and what they do together. */
  readonly workers: number;
  readonly inFlight: number;
  readonly callsPerSecond: number;
  /** Calls of the last ten minutes. */
  readonly recentCalls: number;
  /** The share of them that was refused for being over the rate; undefined where there were none. */
  readonly throttledShare: number | undefined;
  /** Mean time of an answer of late. */
  readonly latencyMs: number | undefined;
  readonly contacts: Readonly<Record<ContactStatus, number>>;
  /** Contacts that are due now, without those of `claimed`. */
  readonly due: number;
  /** Contacts in their backoff. */
  readonly waiting: number;
  /** Contacts whose calls were in flight when their lease was handed over, and are not saved yet. */
  readonly claimed: number;
  readonly oldestDueAt: Date | undefined;
  /** The time until no contact waits any more, ms, if all goes on as now. Undefined where it does not go on. */
  readonly etaMs: number | undefined;
  /** The last call slot that was reserved; in the future while the instance is worked on. */
  readonly nextCallAt: Date;
  /** True: contacts are due, the instance may be called, and no process has called it for two minutes. */
  readonly stalled: boolean;
}

/** An instance that is held while contacts wait for it. */
export interface HeldInstance {
  readonly instanceId: InstanceId;
  readonly reason: string;
}
