import { Counter, Histogram, type Registry } from "prom-client";

/** What the API tells of its requests, as far as it is counted. */
export interface CountedRequests {
  apiAnswered(fields: { method: string; route: string; status: number; tookMs: number }): void;
}

/** A refresh waits for up to a minute, and a stream may take hours. */
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** The requests that this process has answered, by the pattern of their path. */
export function createApiMetrics(registry: Registry): CountedRequests {
  const labelNames = ["method", "route", "status"] as const;
  const registers = [registry];
  const requests = new Counter({
    name: "avatars_api_requests_total",
    help: "Requests of the HTTP API that were answered",
    labelNames,
    registers,
  });
  const duration = new Histogram({
    name: "avatars_api_request_duration_seconds",
    help: "How long requests of the HTTP API took until their answer was sent",
    labelNames: ["method", "route"],
    buckets: durationBuckets,
    registers,
  });
  return {
    apiAnswered({ method, route, status, tookMs }) {
      requests.inc({ method, route, status: String(status) });
      duration.observe({ method, route }, tookMs / 1000);
    },
  };
}
