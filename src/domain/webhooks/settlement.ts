import type { DisabledReason, EndpointSettings, WebhookDelivery } from "./webhook-endpoint.ts";

/** An endpoint that this process sends to, until it loses the lease. */
export interface LeasedEndpoint extends EndpointSettings {
  readonly id: string;
  readonly epoch: number;
  /** In clear, the newest first. None: they cannot be opened. */
  readonly secrets: readonly string[];
  readonly cursor: number;
  readonly failingSince: Date | undefined;
  /** Tries of the event that an ordered endpoint stands at. */
  readonly headTries: number;
  /** When its next try is due. */
  readonly headNextAt: Date | undefined;
}

/** An event that is sent again. */
export interface RetryRow {
  readonly id: number;
  /** Undefined: it goes to the callback of a batch. */
  readonly endpointId: string | undefined;
  readonly feedId: number;
  /** Tries so far. */
  readonly tries: number;
  /** A later change of the contact is in the feed: it was told, or will be. */
  readonly isOutdated: boolean;
  readonly callback: { readonly url: string; readonly apiKeyId: string | undefined } | undefined;
}

/** Where an endpoint stands after some tries. */
export interface EndpointProgress {
  readonly id: string;
  readonly epoch: number;
  readonly cursor: number;
  readonly failingSince: Date | undefined;
  readonly lastSuccessAt: Date | undefined;
  readonly headTries: number;
  readonly headNextAt: Date | undefined;
  readonly disable: Exclude<DisabledReason, "operator"> | undefined;
}

export interface FailedEvent {
  readonly endpointId: string;
  readonly feedId: number;
  readonly contactId: number | undefined;
  readonly nextTryAt: Date;
}

export interface RetryResult {
  readonly id: number;
  readonly feedId: number;
  /** Undefined: there are no further tries. */
  readonly nextTryAt: Date | undefined;
}

/** What tries have led to, to be written at once: the cursors, and what stands for events that they have passed. */
export interface Settlement {
  readonly endpoints: readonly EndpointProgress[];
  /** First tries in vain. */
  readonly failed: readonly FailedEvent[];
  /** Contacts of which something newer was taken: what waits for another try is out of date. */
  readonly taken: readonly {
    readonly endpointId: string;
    readonly contactId: number;
    readonly feedId: number;
  }[];
  readonly retries: readonly RetryResult[];
  readonly deliveries: readonly (Omit<WebhookDelivery, "id" | "eventId"> & {
    readonly endpointId: string;
    readonly contactId: number | undefined;
  })[];
}
