import type { DrainFacts } from "../pace/drain-time.ts";
import type { InstanceId } from "../instance-id.ts";

/** Where one instance stands, as far as it costs little to find out. */
export interface InstanceGauges extends Omit<DrainFacts, "backlog"> {
  readonly instanceId: InstanceId;
  readonly heldReason: string | undefined;
  /** Calls per second that its pace allows now: its rate, or less after refusals and after a hold. */
  readonly callsAllowed: number;
  readonly marginMs: number;
  /** How long the oldest due contact that nobody has claimed has waited; undefined where there is none. */
  readonly oldestDueAgeMs: number | undefined;
}

/** How many contacts of one instance wait for a call. */
export interface Backlog {
  readonly instanceId: InstanceId;
  /** May be called now, or are claimed. */
  readonly due: number;
  /** In their backoff. */
  readonly waiting: number;
}
