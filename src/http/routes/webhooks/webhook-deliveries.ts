import type { WebhookDelivery } from "../../../domain/webhooks/webhook-endpoint.ts";
import { ApiError } from "../../answers/problem.ts";
import { decodeNumberCursor, encodeCursor } from "../../answers/cursor.ts";
import type { Actor } from "../../../domain/audit.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { getKey } from "../../requests/access.ts";
import { toActor } from "../../requests/actor.ts";
import {
  deliveryListSchema,
  deliveryQuery,
  deliverySchema,
  redeliverySchema,
  replayedSchema,
  replaySchema,
  toDelivery,
  webhookParams,
} from "../../schemas/webhook.ts";
import { getVisibleWebhook, noWebhook, webhooksScope, type FindWebhook } from "./visible-webhook.ts";

const bodyProblems = [
  "invalid-request",
  "malformed-body",
  "not-found",
  "request-timeout",
  "body-too-large",
  "unsupported-media-type",
] as const;

interface ListDeliveriesPorts {
  readonly webhooks: FindWebhook & {
    listDeliveries(
      id: string,
      filter: { readonly before: number | undefined; readonly limit: number; readonly failedOnly: boolean },
    ): Promise<WebhookDelivery[]>;
  };
}

const listDeliveriesSchema = {
  ...describe({
    id: "listWebhookDeliveries",
    tag: "Webhooks",
    summary: "The last tries of an endpoint, newest first.",
    description:
      "Some two hundred are kept of each endpoint: all that failed, and of successes up to some ten a second.",
    access: webhooksScope,
  }),
  params: webhookParams,
  querystring: deliveryQuery,
  response: {
    200: answer("A page.", deliveryListSchema),
    ...problems(webhooksScope, "invalid-request", "invalid-cursor", "not-found"),
  },
};

/** `GET /v1/webhooks/{id}/deliveries` */
export function addListWebhookDeliveries(api: ZodApi, { ports }: ApiContext<ListDeliveriesPorts>): void {
  const options = { config: { access: webhooksScope }, schema: listDeliveriesSchema };
  api.get("/v1/webhooks/:id/deliveries", options, async (request, reply) => {
    const { cursor, limit, failed: failedOnly = false } = request.query;
    const { id } = await getVisibleWebhook(getKey(request), request.params.id, ports.webhooks);
    const before = decodeNumberCursor(cursor);
    const items = await ports.webhooks.listDeliveries(id, { before, limit, failedOnly });
    const last = items.length === limit ? items.at(-1) : undefined;
    return reply
      .type("application/json")
      .send({ items: items.map(toDelivery), next: last ? encodeCursor(last.id) : null });
  });
}

interface TestWebhookPorts {
  readonly webhooks: FindWebhook & { test(id: string, by: Actor): Promise<WebhookDelivery | undefined> };
}

const testWebhookSchema = {
  ...describe({
    id: "testWebhook",
    tag: "Webhooks",
    summary: "Send an event of the type `webhook.test`, and tell how it went.",
    description:
      "It is sent once, within 20 seconds, also to an endpoint that is disabled. No counter knows of it.",
    access: webhooksScope,
  }),
  params: webhookParams,
  response: {
    200: answer("How it went.", deliverySchema),
    ...problems(webhooksScope, "invalid-request", "not-found"),
  },
};

/** `POST /v1/webhooks/{id}/test` */
export function addTestWebhook(api: ZodApi, { ports }: ApiContext<TestWebhookPorts>): void {
  const options = { config: { access: webhooksScope }, schema: testWebhookSchema };
  api.post("/v1/webhooks/:id/test", options, async (request, reply) => {
    const { id } = await getVisibleWebhook(getKey(request), request.params.id, ports.webhooks);
    request.leaveWork();
    const delivery = await ports.webhooks.test(id, toActor(request));
    if (delivery === undefined) throw noWebhook(id);
    return reply.type("application/json").send(toDelivery(delivery));
  });
}

interface ReplayWebhookPorts {
  readonly webhooks: FindWebhook & {
    /** Returns its cursor. Undefined: there is no such endpoint. */
    replay(
      id: string,
      to: { readonly since: Date } | { readonly after: number },
      by: Actor,
    ): Promise<number | undefined>;
  };
}

const replayWebhookSchema = {
  ...describe({
    id: "replayWebhook",
    tag: "Webhooks",
    summary: "Set an endpoint's place in the feed back: it is told again of all from there on.",
    description: "With the same ids as before. Several changes of one contact go as the last one.",
    access: webhooksScope,
  }),
  params: webhookParams,
  body: replaySchema,
  response: { 200: answer("Where it is now.", replayedSchema), ...problems(webhooksScope, ...bodyProblems) },
};

/** `POST /v1/webhooks/{id}/replay` */
export function addReplayWebhook(api: ZodApi, { ports }: ApiContext<ReplayWebhookPorts>): void {
  const options = { config: { access: webhooksScope }, schema: replayWebhookSchema };
  api.post("/v1/webhooks/:id/replay", options, async (request, reply) => {
    const { id } = await getVisibleWebhook(getKey(request), request.params.id, ports.webhooks);
    const cursor = await ports.webhooks.replay(id, request.body, toActor(request));
    if (cursor === undefined) throw noWebhook(id);
    return reply.type("application/json").send({ cursor });
  });
}

interface RedeliverWebhookPorts {
  readonly webhooks: FindWebhook & {
    redeliver(id: string, feedId: number, by: Actor): Promise<WebhookDelivery | undefined>;
  };
}

const redeliverWebhookSchema = {
  ...describe({
    id: "redeliverWebhook",
    tag: "Webhooks",
    summary: "Send one event of the feed again, and tell how it went.",
    description: "It is sent once, within 20 seconds, with the id that it had. No counter knows of it.",
    access: webhooksScope,
  }),
  params: webhookParams,
  body: redeliverySchema,
  response: {
    200: answer("How it went.", deliverySchema),
    ...problems(webhooksScope, ...bodyProblems),
  },
};

/** `POST /v1/webhooks/{id}/redeliver` */
export function addRedeliverWebhook(api: ZodApi, { ports }: ApiContext<RedeliverWebhookPorts>): void {
  const options = { config: { access: webhooksScope }, schema: redeliverWebhookSchema };
  api.post("/v1/webhooks/:id/redeliver", options, async (request, reply) => {
    const { id } = await getVisibleWebhook(getKey(request), request.params.id, ports.webhooks);
    const { feedId } = request.body;
    request.leaveWork();
    const delivery = await ports.webhooks.redeliver(id, feedId, toActor(request));
    if (delivery === undefined)
      throw new ApiError("not-found", `nothing is left of event ${feedId}, or it is none for this endpoint`);
    return reply.type("application/json").send(toDelivery(delivery));
  });
}
