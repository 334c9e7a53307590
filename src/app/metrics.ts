import { createMetrics, type Metrics } from "../metrics/create-metrics.ts";
import { serveMetrics } from "../metrics/serve-metrics.ts";
import type { Base } from "./base.ts";
import { createResyncs } from "./subjects/resyncs.ts";
import { readImageGauges } from "../store/images/read-image-gauges.ts";
import { createEndpointStore } from "../store/webhooks/endpoint-store.ts";
import { countBacklog, readGauges } from "../store/status/read-gauges.ts";

/** A scrape waits for them no longer. */
const gaugesDeadlineMs = 5_000;
/** Counting goes on behind the scrape that asked for it. */
const countDeadlineMs = 55_000;

/** Metrics of this process and of the database; nothing is served yet. */
export function openMetrics(base: Base): Metrics {
  const { config, database } = base;
  const resyncs = createResyncs({ config, quick: database, lasting: database });
  return createMetrics({
    async readResync() {
      const [night, runs] = await Promise.all([resyncs.findLatestNight(), resyncs.findLatestRuns()]);
      return { night, runs };
    },
    readWebhooks: () => createEndpointStore(database.pool).list(),
    readImages: async () =>
      config.images.kind === "off" ? undefined : readImageGauges(database.pool, countDeadlineMs),
    planResync: async () => (await resyncs.plan()).instances,
    readGauges: () => readGauges(database.pool, config.requestsPerSecond, gaugesDeadlineMs),
    countBacklog: () => countBacklog(database.pool, countDeadlineMs),
  });
}

/**
 * Serves them on a port of their own where METRICS_PORT is set, until everything is closed.
 * @throws UserError `metrics-unavailable`
 */
export async function serveMetricsPort({ config, events, closer }: Base, metrics: Metrics): Promise<void> {
  const { metricsPort: port, metricsHost: host } = config;
  if (port === undefined) return;
  const server = await serveMetrics({ host, port, scrape: metrics.scrape, onError: events.metricsFailed });
  closer.add("metrics", () => server.close());
  events.metricsServed({ host, port: server.port });
}
