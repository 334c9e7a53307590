import { Counter, Gauge, type Registry } from "prom-client";
import type { WebhookEndpoint } from "../domain/webhooks/webhook-endpoint.ts";

/** What is told of webhooks, as far as it is counted. */
export interface CountedWebhooks {
  webhookTried(fields: { endpointId: string; outcome: string; error: string | undefined }): void;
  webhookGivenUp(fields: { endpointId: string }): void;
}

const endpointLabel = "endpoint";

/** Requests that this process sends to endpoints, and where each endpoint stands. */
export function createWebhookMetrics(registry: Registry): {
  readonly events: CountedWebhooks;
  /** Undefined: Postgres does not answer. */
  show(endpoints: readonly WebhookEndpoint[] | undefined): void;
} {
  const tries = new Counter({
    name: "avatars_webhook_tries_total",
    help: "Requests to endpoints of webhooks that have ended: taken, failed (tried again)",
    labelNames: [endpointLabel, "outcome", "error"],
    registers: [registry],
  });
  const givenUp = new Counter({
    name: "avatars_webhook_given_up_total",
    help: "Events that are not sent any more: all tries were in vain",
    labelNames: [endpointLabel],
    registers: [registry],
  });
  const createGauge = (name: string, help: string) =>
    new Gauge({ name: `avatars_webhook_${name}`, help, labelNames: [endpointLabel], registers: [registry] });
  const active = createGauge("active", "1: the endpoint is active; 0: it is disabled");
  const lag = createGauge(
    "lag_seconds",
    "The age of the oldest change that the endpoint's cursor has not passed",
  );
  const retries = createGauge("retries", "Events that wait for another try");
  const failing = createGauge("failing_seconds", "For how long nothing was taken, though something was sent");
  const missed = createGauge("missed", "Changes that retention has removed before they were sent");
  return {
    events: {
      webhookTried: ({ endpointId, outcome, error }) =>
        tries.inc({ [endpointLabel]: endpointId, outcome, error: error ?? "" }),
      webhookGivenUp: ({ endpointId }) => givenUp.inc({ [endpointLabel]: endpointId }),
    },
    show(endpoints) {
      for (const gauge of [active, lag, retries, failing, missed]) gauge.reset();
      for (const endpoint of endpoints ?? []) {
        const of = { [endpointLabel]: endpoint.id };
        active.set(of, endpoint.state === "active" ? 1 : 0);
        lag.set(of, endpoint.lagSeconds);
        retries.set(of, endpoint.retries);
        failing.set(of, endpoint.failingSince ? (Date.now() - endpoint.failingSince.getTime()) / 1000 : 0);
        missed.set(of, endpoint.missed);
      }
    },
  };
}
