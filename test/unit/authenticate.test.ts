import fastify, { type FastifyInstance } from "fastify";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { StoredApiKey } from "../../src/domain/api-key.ts";
import { createAuthentication, type Authentication } from "../../src/http/requests/authenticate.ts";
import { ApiError } from "../../src/http/answers/problem.ts";
import { createApiToken, createSecretHmac } from "../../src/lib/secrets/api-token.ts";
import { eventually } from "../support/eventually.ts";
import { createGate } from "../support/gate.ts";

const hmac = createSecretHmac(Buffer.alloc(32, 1));
const { id, secret, token } = createApiToken();

let stored: Map<string, StoredApiKey>;
/** The keys of sessions, by their tokens. */
let sessions: Map<string, StoredApiKey>;
let now: number;
let lookups: string[];
let questions: number;
let failures: number;
/** Of Postgres. */
let answering: Promise<void>;
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

async function answer<Found>(asked: readonly string[], find: (id: string) => Found | undefined) {
  lookups.push(...asked);
  questions += 1;
  await answering;
  if (isAway) throw new Error("Postgres is away");
  return asked.flatMap((id) => find(id) ?? []);
}

beforeEach(async () => {
  stored = new Map([[id, key]]);
  sessions = new Map([["session", key]]);
  now = 1_000_000;
  lookups = [];
  questions = 0;
  failures = 0;
  answering = Promise.resolve();
  isAway = false;
  authentication = createAuthentication({
    keys: {
      findMany: (asked) => answer(asked, (id) => stored.get(id)),
      hmac,
      noteUse: () => undefined,
    },
    sessions: {
      findMany: (asked) =>
        answer(asked, (id) => {
          const key = sessions.get(id);
          return key && { id, key };
        }),
    },
    now: () => now,
    async countFailure() {
      failures += 1;
      if (failures > 3) throw new ApiError("rate-limited", "enough");
    },
  });
  api = fastify();
  api.decorateRequest("apiKey", undefined);
  api.decorateRequest("isConsole", false);
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

/** A request whose answer lasts: with the key, and with the session. */
const passed = { apiKey: key, isConsole: false, headers: {} };
const inSession = { apiKey: key, isConsole: true, headers: { cookie: "avatars_session=session" } };

async function askInSession(session: string): Promise<number> {
  const headers = { cookie: `avatars_session=${session}` };
  return (await api.inject({ url: "/", headers })).statusCode;
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
  expect(await authentication.isValid(passed)).toBe(true);
  now += 5_000;
  expect(await ask(token)).toBe(401);
  expect(await authentication.isValid(passed)).toBe(false);
});

test("a key expires to the moment, and no failing database ends what lasts", async () => {
  stored.set(id, { ...key, expiresAt: new Date(now + 1_000) });
  expect(await ask(token)).toBe(200);
  now += 1_000;
  expect(await ask(token)).toBe(401);
  expect(await authentication.isValid(passed)).toBe(false);
  stored.set(id, key);
  now += 5_000;
  isAway = true;
  expect(await authentication.isValid(passed)).toBe(true);
});

test("failures alone are counted, and no number of them keeps a good key out", async () => {
  expect(await ask(token)).toBe(200);
  expect(failures).toBe(0);
  const others = Array.from({ length: 5 }, () => createApiToken().token);
  const statuses = [];
  for (const other of others) statuses.push(await ask(other));
  expect(statuses).toEqual([401, 401, 401, 429, 429]);
  // A right id with a wrong secret is a failure like others.
  expect(await ask(`avk_${id}.${createApiToken().secret}`)).toBe(429);
  const fresh = createApiToken();
  stored.set(fresh.id, { ...key, id: fresh.id, secretHmac: hmac(fresh.secret) });
  expect([await ask(token), await ask(fresh.token)]).toEqual([200, 200]);
  expect(failures).toBe(6);
});

test("who sends no key at all has not failed yet", async () => {
  expect((await api.inject({ url: "/" })).statusCode).toBe(401);
  expect(failures).toBe(0);
});

test("a session is looked up each time: it ends with its logout and its key at once, and so does what lasts", async () => {
  expect(await askInSession("session")).toBe(200);
  expect(await authentication.isValid(inSession)).toBe(true);
  sessions.set("session", { ...key, revokedAt: new Date(now) });
  expect([await askInSession("session"), await authentication.isValid(inSession)]).toEqual([401, false]);
  sessions.delete("session");
  expect([await askInSession("session"), await authentication.isValid(inSession)]).toEqual([401, false]);
  isAway = true;
  expect(await authentication.isValid(inSession)).toBe(true);
});

test.each([
  ["keys", () => ask(token), () => ask(createApiToken().token)],
  ["sessions", () => askInSession("session"), () => askInSession(createApiToken().secret)],
])(
  "whatever number of %s comes at once, two questions are asked at a time, for all that wait",
  async (_, askGood, askMadeUp) => {
    const gate = createGate();
    answering = gate.opened;
    const first = askGood();
    await eventually(() => expect(questions).toBe(1));
    const made = Array.from({ length: 2_500 }, askMadeUp);
    await eventually(() => expect(questions).toBe(2));
    // Needs none, and comes after all of them.
    expect(await ask("none")).toBe(401);
    expect(lookups).toHaveLength(2);
    gate.open();
    expect(await first).toBe(200);
    await Promise.all(made);
    expect(lookups).toHaveLength(2_501);
    // Few for each that waited, and not one each.
    expect(questions).toBeLessThan(250);
  },
);

test("made-up keys do not push a good one out of what is remembered", async () => {
  expect(await ask(token)).toBe(200);
  await Promise.all(Array.from({ length: 2_500 }, async () => ask(createApiToken().token)));
  lookups.length = 0;
  expect(await ask(token)).toBe(200);
  expect(lookups).toEqual([]);
});

test("a question that fails is told to all who wait for it, and asked again by the next", async () => {
  isAway = true;
  const statuses = await Promise.all([ask(token), ask(createApiToken().token)]);
  expect(statuses).toEqual([500, 500]);
  isAway = false;
  expect(await ask(token)).toBe(200);
});
