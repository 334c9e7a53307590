import type { WebhookEndpoint } from "../../../domain/webhooks/webhook-endpoint.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { getKey } from "../../requests/access.ts";
import { toWebhook, webhookListSchema, webhookParams, webhookSchema } from "../../schemas/webhook.ts";
import { getVisibleWebhook, seesInstances, webhooksScope, type FindWebhook } from "./visible-webhook.ts";

interface ListWebhooksPorts {
  readonly webhooks: {
    /** The oldest first. */
    list(): Promise<WebhookEndpoint[]>;
  };
}

const listWebhooksSchema = {
  ...describe({
    id: "listWebhooks",
    tag: "Webhooks",
    summary: "All endpoints, oldest first.",
    description: "A key that is limited to some instances sees those that are told of no others.",
    access: webhooksScope,
  }),
  response: { 200: answer("All of them.", webhookListSchema), ...problems(webhooksScope) },
};

/** `GET /v1/webhooks` */
export function addListWebhooks(api: ZodApi, { ports }: ApiContext<ListWebhooksPorts>): void {
  const options = { config: { access: webhooksScope }, schema: listWebhooksSchema };
  api.get("/v1/webhooks", options, async (request, reply) => {
    const key = getKey(request);
    const all = await ports.webhooks.list();
    const items = all.filter(({ instanceIds }) => seesInstances(key, instanceIds)).map(toWebhook);
    return reply.type("application/json").send({ items });
  });
}

const getWebhookSchema = {
  ...describe({
    id: "getWebhook",
    tag: "Webhooks",
    summary: "An endpoint, and how far it was told.",
    access: webhooksScope,
  }),
  params: webhookParams,
  response: {
    200: answer("The endpoint.", webhookSchema),
    ...problems(webhooksScope, "invalid-request", "not-found"),
  },
};

/** `GET /v1/webhooks/{id}` */
export function addGetWebhook(api: ZodApi, { ports }: ApiContext<{ readonly webhooks: FindWebhook }>): void {
  const options = { config: { access: webhooksScope }, schema: getWebhookSchema };
  api.get("/v1/webhooks/:id", options, async (request, reply) => {
    const endpoint = await getVisibleWebhook(getKey(request), request.params.id, ports.webhooks);
    return reply.type("application/json").send(toWebhook(endpoint));
  });
}
