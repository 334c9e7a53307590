import { z } from "zod";
import type { ResumeFrom } from "../../../domain/webhooks/webhook-endpoint.ts";
import type { Actor } from "../../../domain/audit.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { getKey } from "../../requests/access.ts";
import { toActor } from "../../requests/actor.ts";
import {
  enableSchema,
  rotatedSchema,
  toWebhook,
  webhookParams,
  webhookSchema,
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

interface RemoveWebhookPorts {
  readonly webhooks: FindWebhook & { remove(id: string, by: Actor): Promise<boolean> };
}

const removeWebhookSchema = {
  ...describe({
    id: "removeWebhook",
    tag: "Webhooks",
    summary: "Remove an endpoint, with its retries and its deliveries.",
    access: webhooksScope,
  }),
  params: webhookParams,
  response: {
    204: z.undefined().describe("Removed."),
    ...problems(webhooksScope, "invalid-request", "not-found"),
  },
};

/** `DELETE /v1/webhooks/{id}` */
export function addRemoveWebhook(api: ZodApi, { ports }: ApiContext<RemoveWebhookPorts>): void {
  const options = { config: { access: webhooksScope }, schema: removeWebhookSchema };
  api.delete("/v1/webhooks/:id", options, async (request, reply) => {
    const { id } = await getVisibleWebhook(getKey(request), request.params.id, ports.webhooks);
    await ports.webhooks.remove(id, toActor(request));
    return reply.code(204).send();
  });
}

interface EnableWebhookPorts {
  readonly webhooks: FindWebhook & { enable(id: string, from: ResumeFrom, by: Actor): Promise<boolean> };
}

const enableWebhookSchema = {
  ...describe({
    id: "enableWebhook",
    tag: "Webhooks",
    summary: "Turn an endpoint on again.",
    description: "From where it stopped, or from now: there is no default. Its failures are forgotten.",
    access: webhooksScope,
  }),
  params: webhookParams,
  body: enableSchema,
  response: { 200: answer("As it is now.", webhookSchema), ...problems(webhooksScope, ...bodyProblems) },
};

/** `POST /v1/webhooks/{id}/enable` */
export function addEnableWebhook(api: ZodApi, { ports }: ApiContext<EnableWebhookPorts>): void {
  const options = { config: { access: webhooksScope }, schema: enableWebhookSchema };
  api.post("/v1/webhooks/:id/enable", options, async (request, reply) => {
    const key = getKey(request);
    const { id } = await getVisibleWebhook(key, request.params.id, ports.webhooks);
    await ports.webhooks.enable(id, request.body.from, toActor(request));
    const enabled = await getVisibleWebhook(key, id, ports.webhooks);
    return reply.type("application/json").send(toWebhook(enabled));
  });
}

interface DisableWebhookPorts {
  readonly webhooks: FindWebhook & { disable(id: string, by: Actor): Promise<boolean> };
}

const disableWebhookSchema = {
  ...describe({
    id: "disableWebhook",
    tag: "Webhooks",
    summary: "Turn an endpoint off.",
    description: "It keeps its place in the feed, and its retries.",
    access: webhooksScope,
  }),
  params: webhookParams,
  response: {
    200: answer("As it is now.", webhookSchema),
    ...problems(webhooksScope, "invalid-request", "not-found"),
  },
};

/** `POST /v1/webhooks/{id}/disable` */
export function addDisableWebhook(api: ZodApi, { ports }: ApiContext<DisableWebhookPorts>): void {
  const options = { config: { access: webhooksScope }, schema: disableWebhookSchema };
  api.post("/v1/webhooks/:id/disable", options, async (request, reply) => {
    const key = getKey(request);
    const { id } = await getVisibleWebhook(key, request.params.id, ports.webhooks);
    await ports.webhooks.disable(id, toActor(request));
    const disabled = await getVisibleWebhook(key, id, ports.webhooks);
    return reply.type("application/json").send(toWebhook(disabled));
  });
}

interface RotateWebhookPorts {
  readonly webhooks: FindWebhook & {
    rotate(
      id: string,
      by: Actor,
    ): Promise<{ readonly secret: string; readonly previousUntil: Date } | undefined>;
  };
}

const rotateWebhookSchema = {
  ...describe({
    id: "rotateWebhook",
    tag: "Webhooks",
    summary: "Make a new secret.",
    description: "The one before signs too for 24 hours, so that a receiver can change over in its own time.",
    access: webhooksScope,
  }),
  params: webhookParams,
  response: {
    200: answer("The new secret, this once.", rotatedSchema),
    ...problems(webhooksScope, "invalid-request", "not-found"),
  },
};

/** `POST /v1/webhooks/{id}/rotate` */
export function addRotateWebhook(api: ZodApi, { ports }: ApiContext<RotateWebhookPorts>): void {
  const options = { config: { access: webhooksScope }, schema: rotateWebhookSchema };
  api.post("/v1/webhooks/:id/rotate", options, async (request, reply) => {
    const { id } = await getVisibleWebhook(getKey(request), request.params.id, ports.webhooks);
    const rotated = await ports.webhooks.rotate(id, toActor(request));
    if (rotated === undefined) throw noWebhook(id);
    const { secret, previousUntil: previousSecretUntil } = rotated;
    return reply.type("application/json").send({ secret, previousSecretUntil });
  });
}
