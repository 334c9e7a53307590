import type { FeedItem, FeedPage } from "../domain/webhooks/feed-item.ts";
import type { LeasedEndpoint, RetryRow, Settlement } from "../domain/webhooks/settlement.ts";
import type { WebhookSender } from "./create-sender.ts";

/** What is told of tries. No chat id is among it. */
export interface TryEvents {
  webhookTried(fields: { endpointId: string; outcome: "taken" | "failed"; error: string | undefined }): void;
  /** All tries of an event were in vain: it is not sent any more. */
  webhookGivenUp(fields: { endpointId: string; feedId: number; tries: number }): void;
  webhookDisabled(fields: { endpointId: string; reason: string }): void;
  /** AVATARS_SECRET_KEY opens no secret of it. */
  webhookUnreadable(fields: { endpointId: string }): void;
  failed(where: string, error: unknown): void;
}

export interface DispatcherPorts {
  /** Renews the leases of this process, and takes those that no process has. */
  readonly takeEndpoints: () => Promise<readonly LeasedEndpoint[]>;
  readonly giveEndpointsBack: () => Promise<void>;
  /** The end of what is final in the feed. */
  readonly readHorizon: () => Promise<number>;
  readonly readFeed: (after: number, until: number, limit: number) => Promise<FeedPage>;
  /** As they are now; those that are gone are not among them. */
  readonly findItems: (ids: readonly number[]) => Promise<ReadonlyMap<number, FeedItem>>;
  readonly claimRetries: (
    rooms: ReadonlyMap<string, number>,
    callbackRoom: number,
  ) => Promise<readonly RetryRow[]>;
  /** Returns the endpoints whose lease is still there. */
  readonly settle: (settlement: Settlement) => Promise<ReadonlySet<string>>;
  readonly send: WebhookSender["send"];
  readonly toCallbackSecret: (apiKeyId: string) => string;
  /** A monotonic clock, ms. */
  readonly clock: { now(): number };
  readonly random: () => number;
  readonly events: TryEvents;
}
