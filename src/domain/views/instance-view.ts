import type { InstanceId } from "../instance-id.ts";

/** An instance as people see it: everything but its token. */
export interface InstanceView {
  readonly id: InstanceId;
  readonly apiUrl: string;
  readonly label: string | undefined;
  readonly requestsPerSecond: number | undefined;
  readonly maxInFlight: number | undefined;
  /** The share of its calls that a resync may take within its window, and outside of it; undefined: the defaults. */
  readonly resyncShare: number | undefined;
  readonly resyncDayShare: number | undefined;
  readonly state: "active" | "held" | "paused";
  readonly heldReason: string | undefined;
  readonly heldSince: Date | undefined;
  readonly heldUntil: Date | undefined;
  /** What getStateInstance said last, and when. */
  readonly stateSeen: string | undefined;
  readonly stateSeenAt: Date | undefined;
}
