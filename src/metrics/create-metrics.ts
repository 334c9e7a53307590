import { collectDefaultMetrics, Registry } from "prom-client";
import type { InstanceActivity } from "../domain/views/instance-activity.ts";
import type { Backlog, InstanceGauges } from "../domain/views/instance-gauges.ts";
import type { ResyncPlan } from "../domain/resync/plan-resync.ts";
import { createApiMetrics, type CountedRequests } from "./api-metrics.ts";
import { createCachedRead } from "./cached-read.ts";
import { createCallMetrics, type CountedEvents } from "./call-metrics.ts";
import { createDatabaseMetrics } from "./database-metrics.ts";
import type { ImageGauges } from "../domain/views/image-gauges.ts";
import { createImageMetrics, type CountedImages } from "./image-metrics.ts";
import { createSignalMetrics, type CountedSignals } from "./signal-metrics.ts";
import type { WebhookEndpoint } from "../domain/webhooks/webhook-endpoint.ts";
import { createWebhookMetrics, type CountedWebhooks } from "./webhook-metrics.ts";
import { createResyncMetrics, type ResyncFacts } from "./resync-metrics.ts";

export interface MetricsPorts {
  /** Cheap. Rejects where Postgres is away. */
  readonly readGauges: () => Promise<readonly InstanceGauges[]>;
  /** Takes longer the more contacts wait. */
  readonly countBacklog: () => Promise<readonly Backlog[]>;
  /** Cheap. */
  readonly readResync: () => Promise<ResyncFacts>;
  /** Cheap. */
  readonly readWebhooks: () => Promise<readonly WebhookEndpoint[]>;
  /** Takes longer the more avatars there are. Undefined: images are off. */
  readonly readImages: () => Promise<ImageGauges | undefined>;
  /** Takes longer the more contacts rest. */
  readonly planResync: () => Promise<readonly ResyncPlan[]>;
}

/** What a process shows to Prometheus. Its labels hold instance ids and words of ours: no chat id, no token. */
export interface Metrics {
  /** To be told what the worker does. */
  readonly events: CountedEvents;
  /** To be told what becomes of images. */
  readonly images: CountedImages;
  /** To be told what becomes of webhooks. */
  readonly webhooks: CountedWebhooks;
  /** To be told what the API does. */
  readonly requests: CountedRequests;
  /** To be told of the provider's notifications. */
  readonly signals: CountedSignals;
  /** Where to look at what this process does for each instance. */
  watch(report: () => readonly InstanceActivity[]): void;
  /** All of it, as text. Never waits for Postgres longer than 5 s, and does without it where it is away. */
  scrape(): Promise<{ readonly text: string; readonly contentType: string }>;
}

const freshMs = 10_000;
const deadlineMs = 5_000;
/** Counting who waits, and who is due, costs Postgres at most 2 % of one core per worker each. */
const countShare = 50;

export function createMetrics(ports: MetricsPorts): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const calls = createCallMetrics(registry);
  const showDatabase = createDatabaseMetrics(registry);
  const cached = { freshMs, deadlineMs, now: performance.now.bind(performance) };
  const images = createImageMetrics(registry);
  const showResync = createResyncMetrics(registry);
  const webhooks = createWebhookMetrics(registry);
  const cheap = { ...cached, timeShare: 1, keepsLast: false };
  const costly = { ...cached, timeShare: countShare, keepsLast: true };
  const getInstances = createCachedRead(ports.readGauges, cheap);
  const getResync = createCachedRead(ports.readResync, cheap);
  const getWebhooks = createCachedRead(ports.readWebhooks, cheap);
  const getBacklogs = createCachedRead(ports.countBacklog, costly);
  const getImages = createCachedRead(ports.readImages, costly);
  const getPlans = createCachedRead(ports.planResync, costly);
  let report: (() => readonly InstanceActivity[]) | undefined;

  return {
    events: calls.events,
    images: images.events,
    webhooks: webhooks.events,
    requests: createApiMetrics(registry),
    signals: createSignalMetrics(registry),
    watch(source) {
      report = source;
    },
    async scrape() {
      const [instances, backlogs, resync, plans, kept, endpoints] = await Promise.all([
        getInstances(),
        getBacklogs(),
        getResync(),
        getPlans(),
        getImages(),
        getWebhooks(),
      ]);
      calls.showActivity(report?.() ?? []);
      showDatabase({ instances, backlogs });
      showResync(resync, plans);
      images.show(kept);
      webhooks.show(endpoints);
      return { text: await registry.metrics(), contentType: registry.contentType };
    },
  };
}
