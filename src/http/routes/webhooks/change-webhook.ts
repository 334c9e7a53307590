import type { EndpointWish } from "../../../domain/webhooks/webhook-endpoint.ts";
import type { Actor } from "../../../domain/audit.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { getKey } from "../../requests/access.ts";
import { toActor } from "../../requests/actor.ts";
import {
  toSettings,
  toWebhook,
  webhookChangesSchema,
  webhookParams,
  webhookSchema,
} from "../../schemas/webhook.ts";
import {
  assertInstances,
  getVisibleWebhook,
  orRefused,
  webhooksScope,
  type FindWebhook,
} from "./visible-webhook.ts";

interface ChangeWebhookPorts {
  readonly webhooks: FindWebhook & {
    /** What is given; null takes it away. False: there is none. @throws UserError `webhook-url` */
    change(id: string, changes: EndpointWish, by: Actor): Promise<boolean>;
  };
}

const changeWebhookSchema = {
  ...describe({
    id: "changeWebhook",
    tag: "Webhooks",
    summary: "Change an endpoint.",
    description:
      "What is left out stays. Senders go by it within a second. Its secret and its place in the feed stay.",
    access: webhooksScope,
  }),
  params: webhookParams,
  body: webhookChangesSchema,
  response: {
    200: answer("As it is now.", webhookSchema),
    ...problems(
      webhooksScope,
      "invalid-request",
      "malformed-body",
      "not-found",
      "conflict",
      "request-timeout",
      "body-too-large",
      "unsupported-media-type",
    ),
  },
};

/** `PATCH /v1/webhooks/{id}` */
export function addChangeWebhook(api: ZodApi, { ports }: ApiContext<ChangeWebhookPorts>): void {
  const { webhooks } = ports;
  const options = { config: { access: webhooksScope }, schema: changeWebhookSchema };
  api.patch("/v1/webhooks/:id", options, async (request, reply) => {
    const key = getKey(request);
    const { id } = request.params;
    await getVisibleWebhook(key, id, webhooks);
    assertInstances(key, request.body.instanceIds);
    await orRefused(webhooks.change(id, toSettings(request.body), toActor(request)));
    const changed = await getVisibleWebhook(key, id, webhooks);
    return reply.type("application/json").send(toWebhook(changed));
  });
}
