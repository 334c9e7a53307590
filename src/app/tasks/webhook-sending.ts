import { randomUUID } from "node:crypto";
import { deriveCallbackSecret } from "../../lib/secrets/webhook-secret.ts";
import type { BackgroundTask } from "../../lib/start-tasks.ts";
import { readVersion } from "../../lib/version.ts";
import { createChangeHorizon } from "../../store/changes/change-horizon.ts";
import type { Database } from "../../store/postgres/database.ts";
import { claimRetries } from "../../store/webhooks/claim-retries.ts";
import { giveEndpointsBack, takeEndpoints, type OpenSecret } from "../../store/webhooks/leases.ts";
import { findFeedItems, readFeed } from "../../store/webhooks/read-feed.ts";
import { settleTries, trimWebhooks } from "../../store/webhooks/settle.ts";
import type { TryEvents } from "../../webhooks/dispatcher-ports.ts";
import type { Dispatcher } from "../../webhooks/create-dispatcher.ts";
import type { Door } from "../subjects/door.ts";
import { toContext } from "../subjects/webhooks.ts";

/** The lag of a change is at most that of a read, of the horizon, and of the request. */
const readEveryMs = 150;
const settleEveryMs = 250;
const retryEveryMs = 500;
const leaseEveryMs = 1_000;
const trimEveryMs = 60_000;

/** Webhooks are sent beside the calls of a worker. */
export interface WebhookSending {
  readonly tasks: readonly BackgroundTask[];
  /** To be called when the tasks have stopped: waits for requests under way, and gives the endpoints to other processes. */
  readonly stop: (graceMs: number) => Promise<void>;
}

/** What it needs of its process. */
interface Ground extends Pick<Door, "config" | "secrets" | "secretKey"> {
  readonly database: Database;
  readonly events: Omit<TryEvents, "failed"> & Door["events"];
}

/** Opens what sends webhooks; what it needs is loaded only now. */
export async function openWebhookSending(base: Ground): Promise<WebhookSending> {
  const { config, events } = base;
  const { pool } = base.database;
  const [{ createWebhookSender }, { createDispatcher }] = await Promise.all([
    import("../../webhooks/create-sender.ts"),
    import("../../webhooks/create-dispatcher.ts"),
  ]);
  const sender = createWebhookSender({
    networks: config.webhooks.networks,
    userAgent: `contact-avatars/${readVersion()}`,
  });
  const owner = randomUUID();
  const horizon = createChangeHorizon(pool);
  const openSecret: OpenSecret = (sealed, id, url) => base.secrets().open(sealed, toContext(id, url));
  const dispatcher = createDispatcher({
    takeEndpoints: () => takeEndpoints(pool, owner, openSecret),
    giveEndpointsBack: () => giveEndpointsBack(pool, owner),
    readHorizon: horizon.read,
    readFeed: (after, until, limit) => readFeed(pool, after, until, limit),
    findItems: (ids) => findFeedItems(pool, ids),
    claimRetries: (rooms, callbackRoom) => claimRetries(pool, rooms, callbackRoom),
    settle: (settlement) => settleTries(pool, owner, settlement),
    send: sender.send,
    toCallbackSecret: (apiKeyId) => deriveCallbackSecret(base.secretKey(), apiKeyId),
    clock: performance,
    random: Math.random,
    events: { ...events, failed: (where, error) => events.ledgerFailed({ where }, error) },
  });
  return {
    tasks: listTasks(dispatcher, () => trimWebhooks(pool)),
    async stop(graceMs) {
      await dispatcher.stop(graceMs);
      await sender.close();
    },
  };
}

function listTasks(dispatcher: Dispatcher, trim: () => Promise<void>): BackgroundTask[] {
  return [
    { name: "lease webhooks", everyMs: leaseEveryMs, run: dispatcher.takeLeases },
    { name: "read for webhooks", everyMs: readEveryMs, run: dispatcher.readOn },
    { name: "settle webhooks", everyMs: settleEveryMs, run: dispatcher.settle },
    { name: "retry webhooks", everyMs: retryEveryMs, run: dispatcher.retry },
    { name: "trim webhooks", everyMs: trimEveryMs, run: trim },
  ];
}
