import fastify, { type FastifyInstance } from "fastify";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { StoredApiKey } from "../../src/domain/api-key.ts";
import { createAuthentication, type Authentication } from "../../src/http/authenticate.ts";
import { ApiError } from "../../src/http/problem.ts";
import { createApiToken, createSecretHmac } from "../../src/lib/api-token.ts";

const hmac = createSecretHmac(Buffer.alloc(32, 1));
const { id, secret, token } = createApiToken();

let stored: Map<string, StoredApiKey>;
let now: number;
let lookups: string[];
let strangers: number;
let isAway: boolean;
let authentication: Authentication;
let api: FastifyInstance;

const key: StoredApiKey = {
  id,
  label: undefined,
  scopes: ["read"],
  instanceIds: undefined,
  createdAt: new Date(0),
  expiresAt: undefined,
  revokedAt: undefined,
  lastUsedAt: undefined,
  secretHmac: hmac(secret),
};

beforeEach(async () => {
  stored = new Map([[id, key]]);
  now = 1_000_000;
  lookups = [];
  strangers = 0;
  isAway = false;
  authentication = createAuthentication({
    keys: {
      async find(asked) {
        lookups.push(asked);
        if (isAway) throw new Error("Postgres is away");
        return stored.get(asked);
      },
      hmac,
      noteUse: () => undefined,
    },
    now: () => now,
    async countStranger() {
      strangers += 1;
      if (strangers > 3) throw new ApiError("rate-limited", "enough");
    },
  });
  api = fastify();
  api.decorateRequest("apiKey", undefined);
  api.addHook("onRequest", authentication.onRequest);
  api.setErrorHandler((error, _request, reply) =>
    reply.code(error instanceof ApiError ? error.status : 500).send(),
  );
  api.route({ method: "GET", url: "/", handler: async (request) => request.apiKey?.id });
  await api.ready();
});

afterEach(() => api.close());

async function ask(given: string): Promise<number> {
  const { statusCode } = await api.inject({ url: "/", headers: { authorization: `Bearer ${given}` } });
  return statusCode;
}

test("a key costs one look into the database in five seconds", async () => {
  expect([await ask(token), await ask(token)]).toEqual([200, 200]);
  now += 4_999;
  expect(await ask(token)).toBe(200);
  expect(lookups).toEqual([id]);
  now += 1;
  expect(await ask(token)).toBe(200);
  expect(lookups).toEqual([id, id]);
});

test("a key that is revoked is refused within five seconds, and what lasts is told", async () => {
  expect(await ask(token)).toBe(200);
  stored.set(id, { ...key, revokedAt: new Date(now) });
  expect(await authentication.isValid(key)).toBe(true);
  now += 5_000;
  expect(await ask(token)).toBe(401);
  expect(await authentication.isValid(key)).toBe(false);
});

test("a key expires to the moment, and no failing database ends what lasts", async () => {
  stored.set(id, { ...key, expiresAt: new Date(now + 1_000) });
  expect(await ask(token)).toBe(200);
  now += 1_000;
  expect(await ask(token)).toBe(401);
  expect(await authentication.isValid(key)).toBe(false);
  stored.set(id, key);
  now += 5_000;
  isAway = true;
  expect(await authentication.isValid(key)).toBe(true);
});

test("strangers are counted before they cost a look, and those who are known go on", async () => {
  expect(await ask(token)).toBe(200);
  expect(strangers).toBe(1);
  const others = Array.from({ length: 4 }, () => createApiToken().token);
  const statuses = [];
  for (const other of others) statuses.push(await ask(other));
  expect(statuses).toEqual([401, 401, 429, 429]);
  expect(lookups).toHaveLength(3);
  now += 60_000;
  expect(await ask(token)).toBe(200);
  // A right id with a wrong secret is as good as unknown, but costs a look only now and then.
  expect(await ask(`avk_${id}.${createApiToken().secret}`)).toBe(401);
  expect(lookups).toHaveLength(4);
});
