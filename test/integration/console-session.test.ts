import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createConsoleSessions } from "../../src/app/subjects/console-sessions.ts";
import { createApiToken } from "../../src/lib/secrets/api-token.ts";
import { createConsoleToken } from "../../src/lib/secrets/console-token.ts";
import { revokeApiKey } from "../../src/store/api-keys/api-keys.ts";
import { callApi, readBody, readUntil } from "../support/api-call.ts";
import { readDocument, toPath } from "../support/api-document.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { openSession, readCookie, toPageHeaders } from "../support/console-session.ts";

const instanceId = "1101000001";
const chatId = "79001234567@c.us";
const batch = { instanceId, chatIds: [chatId], label: `of ${chatId}` };

let stage: ApiStage;
const toId = (key: string) => key.slice(4, 16);

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(instanceId);
});
afterAll(() => stage.close());

async function offerLink(): Promise<string> {
  return createConsoleSessions({ quick: stage.database }).offerLink({ id: toId(stage.key) });
}

describe("a session", () => {
  test("is a cookie that no script reads, for this machine without TLS and for others with it alone", async () => {
    const login = (host: string, origin: string) =>
      callApi(stage.url, "/console/session", {
        method: "POST",
        json: { key: stage.key },
        headers: { ...toPageHeaders(origin), host },
      });
    const { host } = new URL(stage.url);
    const [ofLoopback] = (await login(host, stage.url)).headers["set-cookie"] ?? [];
    expect(ofLoopback).toMatch(
      /^avatars_session=[\w-]{43}; Max-Age=(28800|28799); Path=\/; HttpOnly; SameSite=Strict$/,
    );
    const [ofOther] = (await login("crm.example", "https://crm.example")).headers["set-cookie"] ?? [];
    expect(ofOther).toMatch(/; SameSite=Strict; Secure$/);
  });

  test("opens what its key opens, and is lost with the logout", async () => {
    const session = await openSession(stage.url, { key: stage.key });
    expect((await session.call("/v1/keys/self")).json()).toMatchObject({
      id: toId(stage.key),
      state: "active",
    });
    expect((await session.call("/v1/batches", { method: "POST", json: batch })).status).toBe(202);
    const out = await session.call("/console/session", { method: "DELETE" });
    expect([out.status, readCookie(out)]).toEqual([204, "avatars_session="]);
    expect((await session.call("/v1/keys/self")).status).toBe(401);
  });

  test("is not begun by a wrong key, nor by a link that was made up", async () => {
    for (const json of [{ key: `avk_${"0".repeat(12)}.${"A".repeat(43)}` }, { link: "A".repeat(43) }]) {
      const headers = toPageHeaders(stage.url);
      const answer = await callApi(stage.url, "/console/session", { method: "POST", json, headers });
      expect([answer.status, answer.headers["set-cookie"]]).toEqual([401, undefined]);
    }
  });

  test("is begun once by a link", async () => {
    const link = await offerLink();
    const session = await openSession(stage.url, { link });
    expect((await session.call("/v1/keys/self")).json()).toMatchObject({ id: toId(stage.key) });
    const again = await callApi(stage.url, "/console/session", {
      method: "POST",
      json: { link },
      headers: toPageHeaders(stage.url),
    });
    expect(again.status).toBe(401);
  });

  test("lives on in another process", async () => {
    const session = await openSession(stage.url, { key: stage.key });
    const other = await stage.serve();
    const answer = await callApi(other.url, "/v1/keys/self", { headers: { cookie: session.cookie } });
    expect(answer.status).toBe(200);
  });

  test("ends at once with its key, revoked or expired", async () => {
    const key = await stage.createKey();
    const session = await openSession(stage.url, { key });
    expect((await session.call("/v1/instances")).status).toBe(200);
    await revokeApiKey(stage.database, toId(key));
    expect((await session.call("/v1/instances")).status).toBe(401);

    const other = await stage.createKey();
    const expiring = await openSession(stage.url, { key: other });
    await stage.database.pool.query("update avatars.api_keys set expires_at = now() where id = $1", [
      toId(other),
    ]);
    expect((await expiring.call("/v1/instances")).status).toBe(401);
  });

  test("ends after its time", async () => {
    const session = await openSession(stage.url, { key: stage.key });
    await stage.database.pool.query("update avatars.console_sessions set expires_at = now()");
    expect((await session.call("/v1/instances")).status).toBe(401);
    await createConsoleSessions({ quick: stage.database }).removeOld();
    const { rowCount } = await stage.database.pool.query("select from avatars.console_sessions");
    expect(rowCount).toBe(0);
  });
});

test("made-up sessions, keys and tokens of hooks, whatever their number, keep no good key out", async () => {
  const readWaiting = async () => {
    const { rows } = await stage.database.pool.query<{ count: number }>(
      `select count(*)::int from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'
         and query ~ '^select.*(console_sessions|api_keys|hook_secret_hmac)'`,
    );
    return rows[0]!.count;
  };
  const askWith = (headers: Record<string, string>) =>
    Array.from({ length: 100 }, async (_, index) => {
      const isHook = headers["authorization"] === "hook";
      const path = isHook ? `/hooks/green-api/11010${10_000 + index}` : "/v1/instances";
      return (await stage.call(path, { method: isHook ? "POST" : "GET", key: undefined, headers })).status;
    });
  const client = await stage.database.pool.connect();
  try {
    await client.query("begin; lock table avatars.console_sessions in access exclusive mode");
    const made = askWith({ cookie: `avatars_session=${createConsoleToken()}` });
    await eventually(async () => expect(await readWaiting()).toBeGreaterThanOrEqual(1));
    expect((await stage.call("/v1/instances")).status).toBe(200);
    await client.query("lock table avatars.api_keys, avatars.instances in access exclusive mode");
    for (let n = 0; n < 3; n += 1)
      made.push(...askWith({ cookie: `avatars_session=${createConsoleToken()}` }));
    made.push(...askWith({ authorization: `Bearer ${createApiToken().token}` }));
    made.push(...askWith({ authorization: "hook" }));
    await eventually(async () => expect(await readWaiting()).toBeGreaterThanOrEqual(5));
    expect((await stage.call("/readyz", { key: undefined })).json()).toMatchObject({ missing: [] });
    expect(await readWaiting()).toBeLessThanOrEqual(6);
    await client.query("rollback");
    expect(await Promise.all(made)).not.toContain(200);
  } finally {
    client.release(true);
  }
});

describe("a session is of no use", () => {
  test("to a page of another origin", async () => {
    const session = await openSession(stage.url, { key: stage.key });
    const foreign: Record<string, string>[] = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: "not a url" },
      { "x-avatars-console": "" },
      { "x-avatars-console": "0" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
    ];
    for (const headers of foreign) {
      const write = await session.call("/v1/batches", { method: "POST", json: batch, headers });
      expect([headers, write.status, write.json()["code"]]).toEqual([headers, 403, "forbidden"]);
    }
    const read = await session.call("/v1/instances", { headers: { "sec-fetch-site": "cross-site" } });
    expect(read.status).toBe(403);
    const login = await callApi(stage.url, "/console/session", {
      method: "POST",
      json: { key: stage.key },
      headers: { ...toPageHeaders(stage.url), origin: "https://evil.example" },
    });
    expect([login.status, login.headers["set-cookie"]]).toEqual([403, undefined]);
  });

  test("for a mutation without the scope of its key", async () => {
    const { operations } = readDocument((await stage.call("/openapi.json")).text);
    const session = await openSession(stage.url, { key: await stage.createKey({ scopes: ["read"] }) });
    const mutations = operations.filter(
      ({ method, scopes }) => method !== "GET" && scopes?.join() !== "read",
    );
    expect(mutations.length).toBeGreaterThan(10);
    for (const { id, method, path } of mutations) {
      const answer = await session.call(toPath(path, { id: instanceId, chatId }), { method, json: {} });
      expect([id, answer.status, answer.json()["code"]]).toEqual([id, 403, "forbidden"]);
    }
  });
});

test("a session sees no number", async () => {
  await stage.call("/v1/batches", { method: "POST", json: batch });
  const session = await openSession(stage.url, { key: stage.key });
  const batches = await session.call("/v1/batches");
  const [{ id }] = (await stage.call("/v1/batches")).json()["items"] as [{ id: string }];
  const items = await session.call(`/v1/batches/${id}/items`);
  for (const answer of [batches, items]) {
    expect(answer.status).toBe(200);
    expect(answer.text).toContain("7900•••4567");
    expect(answer.text).not.toContain("79001234567");
  }
});

test("a session's download holds masked numbers, and whole ones where it asks and the audit log says so", async () => {
  const label = "of +7 900 123-45-67";
  const sent = await stage.call("/v1/batches", { method: "POST", json: { ...batch, label } });
  const id = String(sent.json()["id"]);
  const session = await openSession(stage.url, { key: stage.key });
  const before = await readReveals();
  for (const format of ["csv", "ndjson"]) {
    const path = `/v1/batches/${id}/results.${format}`;
    const masked = await session.call(path);
    expect([masked.status, masked.headers["cache-control"]]).toEqual([200, "no-store"]);
    expect(masked.headers["content-disposition"]).toBe(`attachment; filename="${id}.avatars.${format}"`);
    expect(masked.text).toContain("7900•••4567");
    expect(masked.text).not.toContain("79001234567");
    expect(await readReveals()).toEqual(before);

    const whole = await session.call(path, { headers: { "x-avatars-reveal": "1" } });
    expect(whole.text).toBe((await stage.call(path)).text);
    expect(whole.text).toContain(chatId);
    const detail = { contacts: 1, file: true };
    before.push({ instance_id: instanceId, actor_id: toId(stage.key), detail });
    expect(await readReveals()).toEqual(before);
  }
  // Numbers that stand in words alone are told of, too.
  const own = await session.call(`/v1/batches/${id}`, { headers: { "x-avatars-reveal": "1" } });
  expect(own.json()["label"]).toBe(label);
  expect((await readReveals()).at(-1)).toMatchObject({ detail: { contacts: 0, inWords: 1 } });
});

test("a session cannot try which numbers are known", async () => {
  await stage.call("/v1/batches", { method: "POST", json: batch });
  const session = await openSession(stage.url, { key: stage.key });
  const chatIds = [chatId, "79000004567"];
  const lookup = ["/v1/contacts/lookup", { method: "POST", json: { instanceId, chatIds } }] as const;
  // A program with the key may.
  expect((await stage.call(...lookup)).text).toContain(chatId);
  const reveal = { "x-avatars-reveal": "1" };
  for (const headers of [{}, reveal]) {
    const answer = await session.call(lookup[0], { ...lookup[1], headers });
    expect([answer.status, answer.json()["code"]]).toEqual([403, "forbidden"]);
    for (const tried of chatIds) {
      for (const part of ["", "/history", "/image"]) {
        const path = `/v1/instances/${instanceId}/contacts/${tried}${part}`;
        const one = await session.call(path, { headers });
        expect([path, one.status, one.json()["code"]]).toEqual([path, 403, "forbidden"]);
      }
      const path = `/v1/instances/${instanceId}/contacts/${tried}`;
      const asked = await session.call(`${path}/refresh?wait=0`, { method: "POST", headers });
      const erased = await session.call(path, { method: "DELETE", headers });
      const noted = await session.call(`/v1/audit?contact=${tried}`);
      expect([asked.status, erased.status, noted.status]).toEqual([403, 403, 403]);
    }
  }
});

test("a session sees no number in words either", async () => {
  const session = await openSession(stage.url, { key: stage.key });
  const label = "for +7 900 123-45-67";
  const contacts = [
    { chatId: "79001234568@c.us", externalRef: "crm 79001234567" },
    { chatId: "+79001234567 79001234567 79001234567" },
  ];
  const sent = await session.call("/v1/batches", { method: "POST", json: { instanceId, contacts, label } });
  const id = String(sent.json()["id"]);
  const csv = await session.call(`/v1/batches?instanceId=${instanceId}`, {
    method: "POST",
    body: "phone\n8(900)123-45-67 доб\n00079001234567\n79001234568\n",
    headers: { "content-type": "text/csv" },
  });
  const strict = await session.call("/v1/batches?strict=true", {
    method: "POST",
    json: { instanceId, contacts },
  });
  const answers = [
    sent,
    csv,
    strict,
    await session.call(`/v1/batches/${id}`),
    await session.call(`/v1/batches/${id}/items`),
    await session.call("/v1/batches"),
  ];
  expect(answers.map(({ status }) => status)).toEqual([202, 202, 422, 200, 200, 200]);
  for (const { text } of answers) expect(text).not.toMatch(/900\W{0,2}123\W?45\W?67/);
  expect(sent.json()["id"]).toMatch(/^[\da-f-]{36}$/);
  expect(csv.json()["rejects"]).not.toEqual([]);
  expect(answers[3]!.json()["label"]).toBe("for 7900•••4567");
  expect(answers[4]!.text).toContain('"externalRef":"crm 7900•••4567"');
  expect((await stage.call(`/v1/batches/${id}`)).json()["label"]).toBe(label);
  const streamed = await stage.open(`/console/stream?batch=${id}`, {
    key: undefined,
    headers: { cookie: session.cookie },
  });
  const events = (await readUntil(streamed, /event: batch\ndata: .*\n\n/)).toString();
  expect(events).toContain('"label":"for 7900•••4567"');
  expect((await session.call(`/v1/batches/${id}/events`)).status).toBe(403);
  // Who asks for the numbers of contacts sees their references, too.
  const shown = await session.call(`/v1/batches/${id}/items`, { headers: { "x-avatars-reveal": "1" } });
  expect(shown.text).toContain("crm 79001234567");
});

async function readReveals(): Promise<unknown[]> {
  const { rows } = await stage.database.pool.query(
    "select instance_id, actor_id, detail from avatars.audit where action = 'contact.revealed' order by id",
  );
  return rows;
}

test("a session that asks for numbers sees them, and the audit log says so", async () => {
  const chatIds = [chatId, "79001234568@c.us"];
  const sent = await stage.call("/v1/batches", { method: "POST", json: { instanceId, chatIds } });
  const items = `/v1/batches/${String(sent.json()["id"])}/items`;
  const session = await openSession(stage.url, { key: stage.key });
  const headers = { "x-avatars-reveal": "1" };
  const before = await readReveals();

  const shown = await session.call(items, { headers });
  expect([shown.status, shown.headers["cache-control"]]).toEqual([200, "no-store"]);
  for (const id of chatIds) expect(shown.text).toContain(id);
  const row = { instance_id: instanceId, actor_id: toId(stage.key), detail: { contacts: 2, inWords: 1 } };
  expect(await readReveals()).toEqual([...before, row]);

  // Nothing is noted where nothing is shown.
  expect((await session.call("/v1/instances", { headers })).status).toBe(200);
  expect((await session.call(items, { headers: { "x-avatars-reveal": "0" } })).text).not.toContain(chatId);
  const write = await session.call("/v1/batches", { method: "POST", json: batch, headers });
  expect([write.status, write.json()["detail"]]).toEqual([403, "x-avatars-reveal is for reads alone"]);
  expect((await session.call(items)).text).not.toContain(chatId);
  expect(await readReveals()).toHaveLength(before.length + 1);
});

test("a number is not shown where the audit log cannot be written", async () => {
  const sent = await stage.call("/v1/batches", { method: "POST", json: batch });
  const items = `/v1/batches/${String(sent.json()["id"])}/items`;
  const session = await openSession(stage.url, { key: stage.key });
  await stage.database.pool.query("alter table avatars.audit rename to audit_away");
  try {
    const answer = await session.call(items, { headers: { "x-avatars-reveal": "1" } });
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain("79001234567");
    const path = `/v1/batches/${String(sent.json()["id"])}/results.csv`;
    const file = await session.call(path, { headers: { "x-avatars-reveal": "1" } });
    expect([file.status, file.text.includes("79001234567")]).toEqual([500, false]);
  } finally {
    await stage.database.pool.query("alter table avatars.audit_away rename to audit");
  }
});

test("with AVATARS_CONSOLE_REVEAL=off who asks for numbers is refused", async () => {
  const { url } = await stage.serve({ env: { AVATARS_CONSOLE_REVEAL: "off" } });
  const sent = await stage.call("/v1/batches", { method: "POST", json: batch });
  const items = `/v1/batches/${String(sent.json()["id"])}/items`;
  const session = await openSession(url, { key: stage.key });
  const before = await readReveals();
  const refused = await session.call(items, { headers: { "x-avatars-reveal": "1" } });
  expect([refused.status, refused.json()["code"]]).toEqual([403, "forbidden"]);
  expect(refused.json()["detail"]).toContain("AVATARS_CONSOLE_REVEAL is off");
  const path = `/v1/batches/${String(sent.json()["id"])}/results.csv`;
  const file = await session.call(path, { headers: { "x-avatars-reveal": "1" } });
  expect([file.status, file.text.includes("79001234567")]).toEqual([403, false]);
  const masked = await session.call(items);
  expect([masked.status, masked.text.includes(chatId)]).toEqual([200, false]);
  expect(await readReveals()).toEqual(before);
});

describe("the stream", () => {
  test("tells a reader what it has missed, and all of it after a restart", async () => {
    const { cookie } = await openSession(stage.url, { key: stage.key });
    const read = async (url: string, lastId?: string) => {
      const headers = { cookie, ...(lastId !== undefined && { "last-event-id": lastId }) };
      const response = await stage.open(`${url}/console/stream`, { key: undefined, headers });
      return (await readUntil(response, /event: status\ndata: .*\n\n/)).toString();
    };
    const first = await read("");
    expect(first).toMatch(/event: hello\ndata: \{"mayReveal":(true|false)\}/);
    const [, id = "", data = ""] = /id: (\S+)\nevent: status\ndata: (.*)\n/.exec(first) ?? [];
    expect(JSON.parse(data)).toMatchObject({ full: true, items: [{ instanceId, state: "active" }] });

    await stage.call(`/v1/instances/${instanceId}/pause`, { method: "POST" });
    const [, missed = ""] = /event: status\ndata: (.*)\n/.exec(await read("", id)) ?? [];
    expect(JSON.parse(missed)).toMatchObject({ full: false, items: [{ instanceId, state: "paused" }] });

    const [, again = ""] = /event: status\ndata: (.*)\n/.exec(await read("", "00000000.17")) ?? [];
    expect(JSON.parse(again)).toMatchObject({ full: true, items: [{ state: "paused" }] });
  });

  test("ends with the logout, before anything more is told", async () => {
    const { call, cookie } = await openSession(stage.url, { key: stage.key });
    const other = await openSession(stage.url, { key: stage.key });
    const response = await stage.open("/console/stream", { key: undefined, headers: { cookie } });
    expect((await call("/console/session", { method: "DELETE" })).status).toBe(204);
    await stage.addInstance("1101000003");
    const text = (await readBody(response)).toString();
    // The end of an answer that was not cut.
    expect(text).toMatch(/retry: 2000\n\n$/);
    expect(text).not.toContain("1101000003");
    expect((await other.call("/v1/instances")).status).toBe(200);
  });

  test("tells of no instance that its key may not see", async () => {
    await stage.addInstance("1101000002");
    const key = await stage.createKey({ instanceIds: ["1101000002"] });
    const { cookie } = await openSession(stage.url, { key });
    const response = await stage.open("/console/stream", { key: undefined, headers: { cookie } });
    const text = (await readUntil(response, /event: status\ndata: .*1101000002.*\n\n/)).toString();
    expect(text).toContain("1101000002");
    expect(text).not.toContain(instanceId);
  });
});

test("the console is served below AVATARS_BASE_PATH too, and its cookie stays there", async () => {
  const api = await stage.serve({ settings: { basePath: "/avatars" } });
  for (const path of ["/console/", "/avatars/console/"]) {
    expect((await callApi(api.url, path)).text).toContain('<div id="app">');
  }
  const login = await callApi(api.url, "/avatars/console/session", {
    method: "POST",
    json: { key: stage.key },
    headers: toPageHeaders(api.url),
  });
  expect(login.headers["set-cookie"]?.[0]).toContain("; Path=/avatars/;");
  const own = await callApi(api.url, "/avatars/v1/keys/self", { headers: { cookie: readCookie(login) } });
  expect(own.status).toBe(200);
});
