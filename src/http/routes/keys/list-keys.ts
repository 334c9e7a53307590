import type { ApiKey } from "../../../domain/api-key.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { getKey } from "../../requests/access.ts";
import { keyListSchema, keySchema, toKey } from "../../schemas/api-key.ts";

interface ListKeysPorts {
  readonly keys: {
    /** The oldest first, with those that have expired or were revoked. */
    list(): Promise<ApiKey[]>;
  };
}

const ofAll = { scopes: ["keys"], allInstances: true } as const;

const listKeysSchema = {
  ...describe({
    id: "listKeys",
    tag: "Keys",
    summary: "All keys, without their secrets.",
    access: ofAll,
  }),
  response: {
    200: answer("The oldest first, with those that have expired or were revoked.", keyListSchema),
    ...problems(ofAll),
  },
};

/** `GET /v1/keys` */
export function addListKeys(api: ZodApi, { ports, now }: ApiContext<ListKeysPorts>): void {
  api.get("/v1/keys", { config: { access: ofAll }, schema: listKeysSchema }, async (_request, reply) => {
    const keys = await ports.keys.list();
    return reply.type("application/json").send({ items: keys.map((key) => toKey(key, now())) });
  });
}

/** Any key. */
const ofAny = { scopes: [] } as const;

const getOwnKeySchema = {
  ...describe({ id: "getOwnKey", tag: "Keys", summary: "The key of this request.", access: ofAny }),
  response: { 200: answer("Without its secret.", keySchema), ...problems(ofAny) },
};

/** `GET /v1/keys/self` */
export function addGetOwnKey(api: ZodApi, { now }: ApiContext<unknown>): void {
  api.get("/v1/keys/self", { config: { access: ofAny }, schema: getOwnKeySchema }, async (request, reply) => {
    const { id, label, scopes, instanceIds, createdAt, expiresAt, revokedAt, lastUsedAt } = getKey(request);
    const own = { id, label, scopes, instanceIds, createdAt, expiresAt, revokedAt, lastUsedAt };
    return reply.type("application/json").send(toKey(own, now()));
  });
}
