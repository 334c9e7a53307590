import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apiScopes } from "../../src/domain/api-key.ts";
import type { ApiAnswer, ApiCall } from "../support/api-call.ts";
import { readDocument, toPath, type ApiDocument, type Operation } from "../support/api-document.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats } from "../support/stage.ts";

const ownId = "1101000001";
const otherId = "1101000002";
const [chatId = ""] = makeChats(1);

let stage: ApiStage;
let document: ApiDocument;
/** Sees {@link ownId} only. */
let limitedKey: string;
const batches = new Map<string, string>();
const webhooks = new Map<string, string>();
const contactIds = new Map<string, string>();

/** Nothing listens at its address. */
const toWebhook = (instanceId: string) => ({ url: "http://127.0.0.1:9/", instanceIds: [instanceId] });

beforeAll(async () => {
  stage = await openApiStage({ images: true, env: { AVATARS_WEBHOOK_NETWORKS: "127.0.0.0/8" } });
  document = readDocument((await stage.call("/openapi.json")).text);
  for (const id of [ownId, otherId]) {
    await stage.addInstance(id);
    const answer = await stage.call("/v1/batches", {
      method: "POST",
      json: { instanceId: id, chatIds: [chatId] },
    });
    batches.set(id, String(answer.json()["id"]));
    const added = await stage.call("/v1/webhooks", { method: "POST", json: toWebhook(id) });
    webhooks.set(id, String(added.json()["id"]));
    const contact = await stage.call(`/v1/instances/${id}/contacts/${chatId}`);
    contactIds.set(id, String(contact.json()["contactId"]));
  }
  limitedKey = await stage.createKey({ instanceIds: [ownId] });
});
afterAll(() => stage.close());

const isKeyed = ({ scopes }: Operation) => scopes !== undefined;

const listsOfInstances = new Set([
  "listBatches",
  "listChanges",
  "getResyncPlan",
  "listResyncRuns",
  "listAudit",
  "listContacts",
  "countContacts",
]);

/** A request that is right for an instance. */
function send(operation: Operation, instanceId: string, call: ApiCall): Promise<ApiAnswer> {
  const { id, method, path } = operation;
  const values: Record<string, string> = {
    ...(path.startsWith("/v1/batches/{id}") && { id: batches.get(instanceId) ?? randomUUID() }),
    ...(path.startsWith("/v1/instances/{id}") && { id: instanceId }),
    ...(path.startsWith("/v1/webhooks/{id}") && { id: webhooks.get(instanceId) ?? "0".repeat(12) }),
    ...(path.includes("{chatId}") && { chatId }),
    ...(path.includes("{contactId}") && { contactId: contactIds.get(instanceId) ?? "999" }),
    ...(path.includes("{sha256}") && { sha256: "0".repeat(64) }),
    ...(["refreshContact", "refreshContactById"].includes(id) && { wait: "0" }),
    ...(id === "getContactImage" && { fallback: "silhouette" }),
    ...(listsOfInstances.has(id) && { instanceId }),
  };
  const bodies: Record<string, unknown> = {
    createBatch: { instanceId, chatIds: [chatId] },
    lookupContacts: { instanceId, chatIds: [chatId] },
    noteReveal: { instanceId, chatIds: [chatId] },
    changeInstance: { label: "changed" },
    addWebhook: toWebhook(instanceId),
    changeWebhook: { label: "changed" },
    enableWebhook: { from: "now" },
    replayWebhook: { after: 0 },
    redeliverWebhook: { feedId: 0 },
    addInstance: { id: "1101000009", apiUrl: stage.simulator.url, token: "anything" },
  };
  return stage.call(toPath(path, values), { method, ...(id in bodies && { json: bodies[id] }), ...call });
}

const ofNone = new Set([
  "listInstances",
  "addInstance",
  "getMetrics",
  "getStatus",
  "listWebhooks",
  "getCallbackSecret",
  "listKeys",
  "addKey",
  "revokeKey",
  "getOwnKey",
]);
const ofOne = (operation: Operation) => isKeyed(operation) && !ofNone.has(operation.id);
/** What they are about is gone afterwards, or never was. */
const lasting = new Set([
  "removeInstance",
  "eraseContact",
  "eraseContactById",
  "removeWebhook",
  "redeliverWebhook",
  "getEarlierImage",
]);

async function readOther() {
  const { rows } = await stage.database.pool.query<{ row: string }>(
    `select i::text as row from avatars.instances i where id = $1
       union all select c::text from avatars.contacts c where instance_id = $1
       union all select b::text from avatars.batches b where instance_id = $1`,
    [otherId],
  );
  return rows;
}

/** A watched batch does not end by itself. */
async function sendAndHangUp(operation: Operation, call: ApiCall): Promise<ApiAnswer> {
  if (operation.id !== "watchBatch") return send(operation, ownId, call);
  await stage.call(`/v1/batches/${batches.get(ownId) ?? ""}/cancel`, { method: "POST" });
  return send(operation, ownId, call);
}
const basic = (key: string) => ({ authorization: `Basic ${Buffer.from(`me:${key}`).toString("base64")}` });

describe("without a valid key", () => {
  test("there is nothing but health, whatever is sent in its place", async () => {
    const right = stage.key;
    const [id = "", secret = ""] = right.replace("avk_", "").split(".");
    const wrong = [
      `Bearer avk_${id}.${"A".repeat(43)}`,
      `Bearer avk_${"0".repeat(12)}.${secret}`,
      `Bearer ${right}x`,
      `Bearer ${right.slice(0, -1)}`,
      `Bearer x${right}`,
      `Bearer ${id}.${secret}`,
      `Bearer ${right}, Bearer ${right}`,
      `Token ${right}`,
      right,
      "Bearer",
      "Bearer ",
      `Bearer ${"x".repeat(5_000)}`,
      `Basic ${Buffer.from(`user:avk_${id}.${"A".repeat(43)}`).toString("base64")}`,
      "Basic !",
    ];
    for (const authorization of wrong) {
      for (const path of ["/v1/instances", "/metrics", "/docs", "/openapi.json", "/v1/metrics"]) {
        const answer = await stage.call(path, { key: undefined, headers: { authorization } });
        expect([authorization.slice(0, 100), path, answer.status]).toEqual([
          authorization.slice(0, 100),
          path,
          401,
        ]);
        expect(answer.headers["www-authenticate"]).toMatch(/\bBearer$/);
        expect(answer.text).not.toContain(secret);
      }
    }
    for (const operation of document.operations) {
      const { status } = await send(operation, ownId, { key: `avk_${id}.${"A".repeat(43)}` });
      expect([operation.id, status]).toEqual([operation.id, isKeyed(operation) ? 401 : 200]);
    }
    for (const path of ["/healthz", "/readyz", "/v1/healthz", "/v1/readyz"]) {
      expect((await stage.call(path, { key: undefined })).status).toBe(200);
    }
    for (const path of ["/healthz", "/readyz"]) {
      expect((await stage.call(path, { key: undefined, method: "HEAD" })).status).toBe(200);
    }
  });

  test("also a key that has expired, or was revoked, is none", async () => {
    const expired = await stage.createKey({ expiresInMs: 1 });
    const expiring = await stage.createKey({ expiresInMs: 1_000 });
    const revoked = await stage.createKey();
    await stage.database.pool.query("update avatars.api_keys set revoked_at = now() where id = $1", [
      revoked.slice(4, 16),
    ]);
    expect((await stage.call("/v1/instances", { key: expired })).status).toBe(401);
    expect((await stage.call("/v1/instances", { key: revoked })).status).toBe(401);
    expect((await stage.call("/v1/instances", { key: expiring })).status).toBe(200);
    await eventually(async () =>
      expect((await stage.call("/v1/instances", { key: expiring })).status).toBe(401),
    );
  });
});

test("a key that is used is noted, and its secret is nowhere in the database", async () => {
  const key = await stage.createKey();
  await stage.call("/v1/instances", { key });
  await eventually(async () => {
    const { rows } = await stage.database.pool.query<{ row: string; last_used_at: Date | null }>(
      "select k::text as row, last_used_at from avatars.api_keys k where id = $1",
      [key.slice(4, 16)],
    );
    expect(rows[0]?.last_used_at).toBeInstanceOf(Date);
    expect(rows[0]?.row).not.toContain(key.slice(17));
  });
});

describe("scopes", () => {
  test("are what the document says: these are enough, and without one of them it is refused", async () => {
    for (const operation of document.operations.filter(isKeyed)) {
      // There is none: nothing is changed.
      const scopes = apiScopes.filter((scope) => operation.scopes?.includes(scope));
      const enough = await send(operation, "999", { key: await stage.createKey({ scopes }) });
      expect([operation.id, enough.status]).not.toEqual([operation.id, 403]);
      for (const missing of scopes) {
        const others = apiScopes.filter((scope) => scope !== missing);
        const refused = await send(operation, "999", { key: await stage.createKey({ scopes: others }) });
        expect([operation.id, refused.status]).toEqual([operation.id, 403]);
        expect(refused.json()).toMatchObject({ code: "forbidden", detail: expect.stringContaining(missing) });
      }
    }
    await stage.call("/v1/instances/1101000009", { method: "DELETE" });
  });
});

describe("a key that is limited to an instance", () => {
  test("sees another one as one that does not exist, in every route", async () => {
    const before = await readOther();
    for (const operation of document.operations.filter(ofOne)) {
      const others = await send(operation, otherId, { key: limitedKey });
      const nobodys = await send(operation, "999", { key: limitedKey });
      const comparable = ({ status, headers, text }: ApiAnswer) => [
        operation.id,
        status,
        headers["content-type"],
        text
          .replaceAll(/1101000002|\b999\b/g, "N")
          .replaceAll(/[\da-f]{8}-[\da-f-]{27}|webhook \w{12}/g, "ID"),
      ];
      expect(others.status).toBe(404);
      expect(comparable(others)).toEqual(comparable(nobodys));
    }
    expect(await readOther()).toEqual(before);
  });

  test("does what it may with its own", async () => {
    for (const operation of document.operations.filter(ofOne)) {
      if (lasting.has(operation.id)) continue;
      const call: ApiCall = { key: limitedKey };
      const { status, text } = await sendAndHangUp(operation, call);
      expect([operation.id, status, status >= 400 && text]).toEqual([operation.id, status, false]);
    }
  });

  test("finds nothing of others in any list", async () => {
    for (const path of [
      "/v1/instances",
      "/v1/batches?refreshes=true",
      "/v1/changes",
      "/v1/resync/plan",
      "/v1/resync/runs",
    ]) {
      const answer = await stage.call(path, { key: limitedKey });
      expect(answer.status).toBe(200);
      expect(answer.text).not.toContain(otherId);
    }
    const all = await stage.call("/v1/instances");
    expect(all.text).toContain(otherId);
  });

  test("goes on with no stream into another's batch", async () => {
    const answer = await stage.call(`/v1/batches?instanceId=${ownId}&resume=${batches.get(otherId) ?? ""}`, {
      method: "POST",
      key: limitedKey,
      headers: { "content-type": "text/csv" },
      body: `${chatId}\n`,
    });
    expect([answer.status, answer.json()["code"]]).toEqual([404, "not-found"]);
  });

  test("may not see what is about all of them, or make new ones", async () => {
    for (const id of ["getMetrics", "addInstance"]) {
      const operation = document.operations.find((operation) => operation.id === id)!;
      const answer = await send(operation, ownId, { key: limitedKey });
      expect([id, answer.status]).toEqual([id, 403]);
    }
  });

  test("to none sees none", async () => {
    const key = await stage.createKey({ instanceIds: [] });
    expect((await stage.call("/v1/instances", { key })).json()).toEqual({ items: [] });
    expect((await stage.call(`/v1/instances/${ownId}`, { key })).status).toBe(404);
    expect((await stage.call("/v1/batches", { key })).json()).toEqual({ items: [], next: null });
  });
});

describe("a browser", () => {
  test("is asked for a password, and the key is one for what is read in it, and nothing else", async () => {
    for (const path of ["/docs", "/openapi.json", "/metrics"]) {
      const asked = await stage.call(path, { key: undefined });
      // Two headers, and in this order: of several in one header Chrome reads the first alone.
      expect([asked.status, asked.challenges]).toEqual([
        401,
        [expect.stringMatching(/^Basic realm="[^"]*", charset="UTF-8"$/), "Bearer"],
      ]);
      const { status } = await stage.call(path, { key: undefined, headers: basic(stage.key) });
      expect([200, 302]).toContain(status);
    }
    const refused = await stage.call("/v1/instances", { key: undefined, headers: basic(stage.key) });
    expect([refused.status, refused.headers["www-authenticate"]]).toEqual([401, "Bearer"]);
  });

  test("is led from / to the console, and a program told where to read on", async () => {
    for (const accept of ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "TEXT/HTML"]) {
      for (const method of ["GET", "HEAD"]) {
        const { status, headers } = await stage.call("/", { key: undefined, headers: { accept }, method });
        expect([status, headers["location"], headers["vary"]]).toEqual([302, "console/", "accept"]);
      }
    }
    for (const [accept, type] of [
      ["application/json", "application/json"],
      ["application/json, text/html;q=0.5", "application/json"],
      ["*/*", "application/json"],
      [undefined, "application/json"],
    ] as const) {
      const headers = accept === undefined ? {} : { accept };
      const answer = await stage.call("/", { key: undefined, headers });
      expect([accept, answer.status, answer.headers["content-type"]]).toEqual([
        accept,
        200,
        expect.stringContaining(type),
      ]);
      expect(answer.headers["vary"]).toBe("accept");
      const head = await stage.call("/", { key: undefined, headers, method: "HEAD" });
      expect([head.status, head.text]).toEqual([200, ""]);
      expect(head.headers["content-length"]).toBe(String(answer.body.length));
      expect(head.headers["content-type"]).toBe(answer.headers["content-type"]);
    }
    const json = (await stage.call("/", { key: undefined })).json();
    expect(json).toMatchObject({ name: "contact-avatars", documentation: "docs" });
    expect((await stage.call("/", { key: undefined, method: "POST" })).status).toBe(404);
  });

  test("reads the documentation from this server alone", async () => {
    const headers = basic(stage.key);
    const page = await stage.call("/docs/", { key: undefined, headers });
    expect([page.status, page.headers["content-type"]]).toEqual([200, expect.stringContaining("text/html")]);
    const policy = page.headers["content-security-policy"] as string;
    expect(policy).not.toContain("unsafe");
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toMatch(/https?:|\*|swagger\.io|upgrade-insecure-requests/);
    const sources = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source = ""]) => source);
    expect(sources.length).toBeGreaterThan(3);
    for (const source of sources) {
      expect(source).not.toMatch(/^(https?:)?\/\//);
      const { pathname } = new URL(source, `${stage.url}/docs/`);
      expect((await stage.call(pathname, { key: undefined, headers })).status).toBe(200);
      expect((await stage.call(pathname, { key: undefined })).status).toBe(401);
    }
    const initializer = await stage.call("/docs/static/swagger-initializer.js", { key: undefined, headers });
    expect(initializer.text).toContain(`"validatorUrl":null`);
    expect((await stage.call("/docs/json", { key: undefined, headers })).json()).toEqual(
      JSON.parse(document.text),
    );
  });
});

test("a key that expires makes none that outlives it", async () => {
  const key = await stage.createKey({ expiresInMs: 2 * 86_400_000 });
  const make = (json: object, by: string) =>
    stage.call("/v1/keys", { method: "POST", json: { scopes: ["read"], ...json }, key: by });
  for (const wish of [{}, { expiresInDays: null }, { expiresInDays: 2 }, { expiresInDays: 365 }]) {
    const answer = await make(wish, key);
    expect([wish, answer.status, answer.json()["code"]]).toEqual([wish, 403, "forbidden"]);
    expect(answer.json()["detail"]).toContain("no longer life than its own");
  }
  expect((await make({ expiresInDays: 1.9 }, key)).status).toBe(201);
  for (const wish of [{}, { expiresInDays: 365 }]) expect((await make(wish, stage.key)).status).toBe(201);
});
