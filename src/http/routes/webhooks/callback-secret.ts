import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { getKey } from "../../requests/access.ts";
import { callbackSecretSchema } from "../../schemas/webhook.ts";

interface CallbackSecretPorts {
  readonly webhooks: {
    /** The secret that callbacks of the key's batches are signed with. */
    toCallbackSecret(apiKeyId: string): string;
  };
}

const enqueue = { scopes: ["enqueue"] } as const;

const getCallbackSecretSchema = {
  ...describe({
    id: "getCallbackSecret",
    tag: "Webhooks",
    summary: "The secret that requests to `callbackUrl` are signed with.",
    description: "Of batches that this API key has asked for. It stays the same as long as the key.",
    access: enqueue,
  }),
  response: { 200: answer("The secret.", callbackSecretSchema), ...problems(enqueue) },
};

/** `GET /v1/callback-secret` */
export function addGetCallbackSecret(api: ZodApi, { ports }: ApiContext<CallbackSecretPorts>): void {
  const options = { config: { access: enqueue }, schema: getCallbackSecretSchema };
  api.get("/v1/callback-secret", options, async (request, reply) =>
    reply.type("application/json").send({ secret: ports.webhooks.toCallbackSecret(getKey(request).id) }),
  );
}
