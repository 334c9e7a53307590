import type { EndpointSettings } from "../../../domain/webhooks/webhook-endpoint.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { Actor } from "../../../domain/audit.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { getKey } from "../../requests/access.ts";
import { toActor } from "../../requests/actor.ts";
import { addedWebhookSchema, newWebhookSchema, toSettings, toWebhook } from "../../schemas/webhook.ts";
import { assertInstances, noWebhook, orRefused, webhooksScope, type FindWebhook } from "./visible-webhook.ts";

interface AddWebhookPorts {
  readonly webhooks: FindWebhook & {
    /**
     * @param within the instances that the key is limited to
     * @throws UserError `webhook-url`, `too-many-webhooks`
     */
    add(
      settings: EndpointSettings,
      by: Actor,
      within: readonly InstanceId[] | undefined,
    ): Promise<{ readonly id: string; readonly secret: string }>;
  };
}

const addWebhookSchema = {
  ...describe({
    id: "addWebhook",
    tag: "Webhooks",
    summary: "Add an endpoint.",
    description:
      "It is told of what comes from now on. The answer holds its secret, this once: requests are signed by Standard Webhooks 1.0. There may be 100, and 20 of the instances that a key is limited to.",
    access: webhooksScope,
  }),
  body: newWebhookSchema,
  response: {
    201: answer("Added.", addedWebhookSchema),
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

/** `POST /v1/webhooks` */
export function addAddWebhook(api: ZodApi, { ports }: ApiContext<AddWebhookPorts>): void {
  const { webhooks } = ports;
  const options = { config: { access: webhooksScope }, schema: addWebhookSchema };
  api.post("/v1/webhooks", options, async (request, reply) => {
    const key = getKey(request);
    assertInstances(key, request.body.instanceIds);
    const { url, types, label, instanceIds, includesFirstSeen, isOrdered, omitsChatId } = toSettings(
      request.body,
    );
    const settings: EndpointSettings = {
      url,
      types,
      label: label ?? undefined,
      instanceIds: instanceIds ?? undefined,
      includesFirstSeen: includesFirstSeen ?? false,
      isOrdered: isOrdered ?? false,
      omitsChatId: omitsChatId ?? false,
    };
    const { id, secret } = await orRefused(webhooks.add(settings, toActor(request), key.instanceIds));
    const added = await webhooks.find(id);
    if (added === undefined) throw noWebhook(id);
    return reply
      .code(201)
      .header("location", `/v1/webhooks/${id}`)
      .type("application/json")
      .send({ ...toWebhook(added), secret });
  });
}
