import type { CareView } from "../care/care-view.ts";
import type { QuietHours } from "../care/care.ts";
import type { InstanceId } from "../instance-id.ts";

/** An instance as people see it: everything but its token. */
export interface InstanceView extends CareView {
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
  /** The last answer of getStateInstance, and its moment. */
  readonly stateSeen: string | undefined;
  readonly stateSeenAt: Date | undefined;
  /** Since when its notifications are taken with the present secret; undefined: they are not. */
  readonly hookSetAt: Date | undefined;
}

/** The settings of an instance that a person may change while it is worked on. */
export interface InstanceSettings {
  readonly apiUrl?: string | undefined;
  /** Null: none. */
  readonly label?: string | null | undefined;
  /** Null: the default. */
  readonly requestsPerSecond?: number | null | undefined;
  /** Null: from the rate and the time that answers take. */
  readonly maxInFlight?: number | null | undefined;
  /** The share of its calls that a resync may take within its window, and outside of it. Null: the defaults. */
  readonly resyncShare?: number | null | undefined;
  readonly resyncDayShare?: number | null | undefined;
  /** Null: no cap. */
  readonly callsPerDay?: number | null | undefined;
  /** Null: none. */
  readonly quietHours?: QuietHours | null | undefined;
  /** Null: they are no exception. */
  readonly quietInteractive?: boolean | null | undefined;
  /** Null: UTC. */
  readonly timeZone?: string | null | undefined;
}

/** The settings that say how an instance is called with care. */
export type CareSettings = Pick<
  InstanceSettings,
  "callsPerDay" | "quietHours" | "quietInteractive" | "timeZone"
>;

/** `throttled`: active, and the provider had said how long to wait. */
export type StateBefore = InstanceView["state"] | "throttled";
