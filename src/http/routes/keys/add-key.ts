import type { z } from "zod";
import type { ApiKey, ApiScope } from "../../../domain/api-key.ts";
import type { Actor } from "../../../domain/audit.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import { ApiError } from "../../answers/problem.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { getKey } from "../../requests/access.ts";
import { toActor } from "../../requests/actor.ts";
import { madeKeySchema, newKeySchema, toKey } from "../../schemas/api-key.ts";

interface AddKeyPorts {
  readonly keys: {
    /** Returns the token too: it can never be read again. */
    create(
      wish: {
        readonly label?: string | undefined;
        readonly scopes: readonly ApiScope[];
        readonly instanceIds?: readonly InstanceId[] | undefined;
        readonly expiresInMs?: number | undefined;
      },
      by: Actor,
    ): Promise<{ readonly token: string; readonly key: ApiKey }>;
  };
}

const ofAll = { scopes: ["keys"], allInstances: true } as const;

const addKeySchema = {
  ...describe({
    id: "addKey",
    tag: "Keys",
    summary: "Make a key.",
    description:
      "With no scope that the key of this request has not, and no longer life. The answer alone holds its token.",
    access: ofAll,
  }),
  body: newKeySchema,
  response: {
    201: answer("The key, with its token.", madeKeySchema),
    ...problems(
      ofAll,
      "invalid-request",
      "malformed-body",
      "request-timeout",
      "body-too-large",
      "unsupported-media-type",
    ),
  },
};

/** `POST /v1/keys` */
export function addAddKey(api: ZodApi, { ports, now }: ApiContext<AddKeyPorts>): void {
  api.post("/v1/keys", { config: { access: ofAll }, schema: addKeySchema }, async (request, reply) => {
    const wish = request.body;
    assertOwnScopes(getKey(request), wish);
    assertOwnLife(getKey(request), wish, now());
    const { token, key } = await ports.keys.create(
      {
        label: wish.label ?? undefined,
        scopes: [...new Set(wish.scopes)],
        instanceIds: wish.instanceIds ?? undefined,
        expiresInMs: wish.expiresInDays ?? undefined,
      },
      toActor(request),
    );
    return reply
      .code(201)
      .header("cache-control", "no-store")
      .type("application/json")
      .send({ key: toKey(key, now()), token });
  });
}

/** @throws ApiError `forbidden`: a key gives only what it has */
function assertOwnScopes(own: ApiKey, { scopes }: z.output<typeof newKeySchema>): void {
  const missing = scopes.filter((scope) => !own.scopes.includes(scope));
  if (missing.length === 0) return;
  throw new ApiError(
    "forbidden",
    `a key gives no scope that it has not itself: ${[...new Set(missing)].join(", ")}`,
  );
}

/** @throws ApiError `forbidden`: a key that expires makes none that outlives it, or it would have no end */
function assertOwnLife(
  own: ApiKey,
  { expiresInDays: lifeMs }: z.output<typeof newKeySchema>,
  now: Date,
): void {
  if (own.expiresAt === undefined) return;
  const leftMs = own.expiresAt.getTime() - now.getTime();
  if (typeof lifeMs === "number" && lifeMs <= leftMs) return;
  throw new ApiError(
    "forbidden",
    `a key gives no longer life than its own, which ends at ${own.expiresAt.toISOString()}: give expiresInDays within it, or use a key without an end`,
  );
}
