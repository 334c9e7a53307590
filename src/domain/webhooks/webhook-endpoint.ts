import type { InstanceId } from "../instance-id.ts";
import type { WebhookType } from "./webhook-type.ts";

/** What an endpoint is told, and where. */
export interface EndpointSettings {
  readonly url: string;
  readonly label: string | undefined;
  readonly types: readonly WebhookType[];
  /** Undefined: all, also those to come. */
  readonly instanceIds: readonly InstanceId[] | undefined;
  /** Is the first picture that was ever seen of a contact a change? */
  readonly includesFirstSeen: boolean;
  /** Does an event that fails hold those behind it? */
  readonly isOrdered: boolean;
  readonly omitsChatId: boolean;
}

/** Changes of an endpoint: what is left out stays, null takes a setting away. */
export type EndpointWish = {
  readonly [Name in keyof Omit<EndpointSettings, "label" | "instanceIds">]?:
    | EndpointSettings[Name]
    | undefined;
} & {
  readonly label?: string | null | undefined;
  readonly instanceIds?: readonly InstanceId[] | null | undefined;
};

/** `gone`: it answered 410. `failing`: five days without a success. `operator`: a person turned it off. */
export type DisabledReason = "gone" | "failing" | "operator";

/** An endpoint without its secrets, as people and programs see it. */
export interface WebhookEndpoint extends EndpointSettings {
  readonly id: string;
  readonly state: "active" | "disabled";
  readonly disabledReason: DisabledReason | undefined;
  readonly disabledAt: Date | undefined;
  /** Since when no event was taken, though some were sent. */
  readonly failingSince: Date | undefined;
  readonly lastSuccessAt: Date | undefined;
  /** Its place in the feed. */
  readonly cursor: number;
  /** What retention has removed before it was sent. */
  readonly missed: number;
  /** Events that wait for another try. */
  readonly retries: number;
  /** The age of the oldest of what it has not read yet, seconds; 0: it has read all. */
  readonly lagSeconds: number;
  /** Until then the secret before the last one signs too. */
  readonly previousUntil: Date | undefined;
  readonly createdAt: Date;
}

/** Where an endpoint goes on that is turned on again: at what it has not been told yet, or at what comes from now on. */
export type ResumeFrom = "stopped" | "now";

/** How one try ended. */
export interface DeliveryResult {
  readonly at: Date;
  readonly tookMs: number;
  /** Undefined: there was no answer. */
  readonly status: number | undefined;
  /** Why it failed, a code; undefined: it was taken. */
  readonly error: string | undefined;
  /** The beginning of the answer, up to 1 kB, without what may be secret or personal. */
  readonly answer: string | undefined;
}

/** A try, as it is remembered. */
export interface WebhookDelivery extends DeliveryResult {
  readonly id: number;
  /** Undefined: a test. */
  readonly feedId: number | undefined;
  /** The `webhook-id` that it was sent with. */
  readonly eventId: string;
  readonly type: string;
  readonly kind: "event" | "retry" | "test" | "redelivery";
  /** Of the event, with this one. */
  readonly tries: number;
}
