import type { DrainFacts } from "../pace/drain-time.ts";
import type { InstanceId } from "../instance-id.ts";

/** The standing of one instance, as far as it costs little to find out. */
export interface InstanceGauges extends Omit<DrainFacts, "backlog"> {
  readonly instanceId: InstanceId;
  readonly heldReason: string | undefined;
  /** Calls per second that its pace allows now: its rate, or less after refusals and after a hold. */
  readonly callsAllowed: number;
  readonly marginMs: number;
  /** The wait of the oldest due contact; undefined where there is none. */
  readonly oldestDueAgeMs: number | undefined;
}

/** The contacts of one instance that wait for a call. */
export interface Backlog {
  readonly instanceId: InstanceId;
  /** Contacts that may be called now, or are in flight. */
  readonly due: number;
  /** Contacts in their backoff. */
  readonly waiting: number;
}
