import { createApi } from "../http/create-api.ts";
import { serveApi } from "../http/serve-api.ts";
import { once } from "../lib/closing/once.ts";
import { tapEvents } from "../lib/tap-events.ts";
import { readVersion } from "../lib/version.ts";
import { openApiPorts, type ApiLinks } from "./api-ports.ts";
import { writeServedAt } from "../store/images/installation.ts";
import type { Base } from "./base.ts";

export interface RunningApi {
  /** The address at which this machine reaches the API. */
  readonly url: string;
  /** Takes no new requests, and lets those at work finish within the grace period. Twice is harmless. */
  stop(): Promise<void>;
}

/** Bodies of 10,000 contacts with long references fit. */
const maxBodyBytes = 8 * 1024 * 1024;
/** A stream of ten contacts a second is faster, also zipped. */
const bodyDeadlines = { wholeMs: 30_000, idleMs: 60_000, leastBytesPerSecond: 100 };
const watchMs = 15 * 60_000;

/**
 * Serves the HTTP API, until everything is closed.
 * @throws UserError `api-unavailable`, `no-secret-key`
 */
export async function openApi(base: Base, links: ApiLinks): Promise<RunningApi> {
  const { config, events, closer } = base;
  const ports = await openApiPorts(base, links);
  await writeServedAt(base.database.pool, {
    servesImages: links.images !== undefined,
    publicUrl: config.publicUrl ?? null,
  });
  const api = await createApi(
    ports,
    {
      version: readVersion(),
      basePath: config.api.basePath,
      requestsPerMinute: config.api.requestsPerMinute,
      imageRequestsPerMinute: config.api.imageRequestsPerMinute,
      trustedProxies: config.api.trustedProxies,
      maxBodyBytes,
      watchMs,
      ...bodyDeadlines,
    },
    tapEvents(events, links.metrics.requests),
  );
  const { host } = config.api;
  const server = await serveApi({ api, host, port: config.api.port, onError: events.apiConnectionFailed });
  const stop = once(async () => {
    const graceMs = config.shutdownGraceMs;
    events.apiStopping({ graceMs });
    await server.stop(graceMs);
    events.apiStopped();
  });
  closer.add("API", stop);
  events.apiServed({ url: server.url, host, port: server.port });
  return { url: `${server.url}${config.api.basePath}`, stop };
}
