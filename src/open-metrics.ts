import { createMetrics, type Metrics } from "./metrics/create-metrics.ts";
import { serveMetrics } from "./metrics/serve-metrics.ts";
import type { Base } from "./open-base.ts";
import { countBacklog, readGauges } from "./store/read-gauges.ts";

/** A scrape waits for them no longer. */
const gaugesDeadlineMs = 5_000;
/** Counting goes on behind the scrape that asked for it. */
const countDeadlineMs = 55_000;

/**
 * Serves metrics where METRICS_PORT is set, until everything is closed.
 * @throws UserError `metrics-unavailable`
 */
export async function openMetrics({ config, database, events, closer }: Base): Promise<Metrics | undefined> {
  const { metricsPort: port, metricsHost: host } = config;
  if (port === undefined) return undefined;
  const metrics = createMetrics({
    readGauges: () => readGauges(database.pool, config.requestsPerSecond, gaugesDeadlineMs),
    countBacklog: () => countBacklog(database.pool, countDeadlineMs),
  });
  const server = await serveMetrics({ host, port, scrape: metrics.scrape, onError: events.metricsFailed });
  closer.add("metrics", () => server.close());
  events.metricsServed({ host, port: server.port });
  return metrics;
}
