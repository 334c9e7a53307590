import { once } from "node:events";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ApiCall } from "../support/api-call.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { findInPostgres } from "../support/find-traces.ts";
import { notKept, toIncomingCall, toMessage, toStateChange } from "../support/notifications.ts";
import { openPostgresValve } from "../support/postgres-valve.ts";
import { connectRaw, exchangeRaw } from "../support/raw-exchange.ts";
import { makeChats } from "../support/stage.ts";

const chats = makeChats(60);
const nextChat = () => chats.shift()!;

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage({ images: true });
  await stage.startWorker();
});
afterAll(() => stage.close());

let made = 0;
/** An instance that tells of its chats, and the token that it does so with. */
async function addInstance(apiUrl?: string): Promise<{ id: string; token: string }> {
  made += 1;
  const id = String(1101000000 + made);
  await stage.addInstance(id, apiUrl === undefined ? {} : { apiUrl });
  const answer = await stage.call(`/v1/instances/${id}/hook`, { method: "POST" });
  expect(answer.status).toBe(200);
  expect(answer.json()).toMatchObject({ path: `/hooks/green-api/${id}`, url: null });
  return { id, token: String(answer.json()["token"]) };
}

/** Nothing listens there: contacts stay as they are. */
const nowhere = "http://127.0.0.1:9";

const tell = (id: string, authorization: string | undefined, json: unknown, call: ApiCall = {}) =>
  stage.call(`/hooks/green-api/${id}`, {
    method: "POST",
    key: undefined,
    json,
    ...call,
    headers: { ...(authorization !== undefined && { authorization }), ...call.headers },
  });

/** To a server that remembers no token: others may do so for 5 s. */
async function tellAnew(id: string, authorization: string, json: unknown): Promise<number> {
  const api = await stage.serve();
  const { status } = await api.call(`/hooks/green-api/${id}`, {
    method: "POST",
    key: undefined,
    json,
    headers: { authorization },
  });
  await api.stop();
  return status;
}

async function readContact(id: string, chatId: string) {
  const { rows } = await stage.database.pool.query<{ status: string; priority: number; is_due: boolean }>(
    "select status, priority, due_at is not null as is_due from avatars.contacts where instance_id = $1 and chat_id = $2",
    [id, chatId],
  );
  return rows[0];
}

const countContacts = async (id: string) =>
  (await stage.database.pool.query("select from avatars.contacts where instance_id = $1", [id])).rowCount;

async function countSignals(id: string): Promise<Record<string, number>> {
  const { text } = await stage.call("/metrics");
  const lines = text.matchAll(/^avatars_signals_total\{instance_id="(\d+)",outcome="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries(
    [...lines].filter(([, of]) => of === id).map(([, , outcome = "", count]) => [outcome, Number(count)]),
  );
}

/** Bodies that no reader of notifications could make sense of, by what is wrong with them. */
const unreadable: readonly (readonly [string, () => string | Buffer | Readable])[] = [
  ["one that is no JSON", () => `{"senderData":"${notKept[0]!}`],
  ["one that is not UTF-8", () => Buffer.from([0x22, 0xff, 0xfe, 0x22])],
  ["one that is empty", () => ""],
  ["one of more than 2 MiB", () => `"${"x".repeat(2 ** 21)}"`],
  ["one of more than 2 MiB that does not say so", () => Readable.from(Array(40).fill("x".repeat(2 ** 16)))],
  ["one that is nested deeper than 32", () => "[".repeat(33) + "]".repeat(33)],
  ["one of more than 100,000 values", () => `[${"0,".repeat(100_001)}0]`],
  ["one with a prototype", () => '{"__proto__":{"typeWebhook":"incomingCall"}}'],
];

describe("a notification", () => {
  test("of a chat that is not known has its picture there soon after, asked before all imports", async () => {
    const { id, token } = await addInstance();
    const chatId = nextChat();
    stage.simulator.setTruth({ chatId, kind: "present" });
    const answer = await tell(id, token, toMessage(id, chatId));
    expect([answer.status, answer.json()]).toEqual([200, {}]);
    expect(await readContact(id, chatId)).toMatchObject({ priority: 0 });
    await eventually(async () => {
      const contact = await stage.call(`/v1/instances/${id}/contacts/${chatId}`);
      expect(contact.json()).toMatchObject({ status: "present", imageSha256: expect.any(String) });
    });
    expect(await countSignals(id)).toEqual({ added: 1 });
  });

  test.each([
    ["incomingMessageReceived", (id: string, chatId: string) => toMessage(id, chatId)],
    [
      "outgoingMessageReceived",
      (id: string, chatId: string) => toMessage(id, chatId, "outgoingMessageReceived"),
    ],
    [
      "outgoingAPIMessageReceived",
      (id: string, chatId: string) => toMessage(id, chatId, "outgoingAPIMessageReceived"),
    ],
    ["incomingCall", toIncomingCall],
  ])("%s makes a contact of its chat: a person, a group, or a privacy id", async (_type, toBody) => {
    const { id, token } = await addInstance(nowhere);
    for (const chatId of [nextChat(), "120363043968066561@g.us", "120363043968066@lid"]) {
      expect((await tell(id, token, toBody(id, chatId))).status).toBe(200);
      expect(await readContact(id, chatId)).toMatchObject({ status: "unknown", priority: 0, is_due: true });
    }
    expect(await countContacts(id)).toBe(3);
  });

  test("leaves nothing but the chat id: no text, no sender, no name, in no table and no log", async () => {
    const { id, token } = await addInstance(nowhere);
    await tell(id, token, toMessage(id, nextChat()));
    for (const text of notKept) expect(await findInPostgres(stage.database.pool, text)).toEqual([]);
    const logged = JSON.stringify(stage.records.filter(({ route }) => route.startsWith("/hooks")));
    expect(logged).toContain('"status":200');
    for (const text of notKept) expect(logged).not.toContain(text);
  });

  test("that names no chat, or is of no known kind, is taken and changes nothing", async () => {
    const { id, token } = await addInstance(nowhere);
    const bodies = [
      toMessage(id, nextChat(), "outgoingMessageStatus"),
      toMessage(id, "status@broadcast"),
      toMessage(id, "1".repeat(5_000)),
      { ...toMessage(id, nextChat()), senderData: null },
      { typeWebhook: "quotaExceeded" },
      { typeWebhook: 7 },
      [],
      "text",
      null,
    ];
    for (const body of bodies) expect((await tell(id, token, body)).status).toBe(200);
    expect(await countContacts(id)).toBe(0);
    expect(await countSignals(id)).toEqual({ ignored: bodies.length });
  });

  test("is refused without a word of it where it is of another instance", async () => {
    const { id, token } = await addInstance(nowhere);
    const { status, text } = await tell(id, token, toMessage("1101999999", nextChat()));
    expect(status).toBe(403);
    expect(text).not.toContain(notKept[0]);
    expect(await countContacts(id)).toBe(0);
  });

  test.each(unreadable)("%s is taken, since its sender would repeat it for ever", async (_name, toBody) => {
    const { id, token } = await addInstance(nowhere);
    const headers = { "content-type": "application/json" };
    const answer = await tell(id, token, undefined, { body: toBody(), headers });
    expect([answer.status, answer.json()]).toEqual([200, {}]);
    expect(await countSignals(id)).toEqual({ ignored: 1 });
    expect(await countContacts(id)).toBe(0);
    expect((await tell(id, `${token}x`, undefined, { body: toBody(), headers })).status).toBe(401);
  });

  test("larger than all that is kept of one is answered to a sender that reads when it has sent it", async () => {
    const { id, token } = await addInstance(nowhere);
    const bytes = 20 * 1024 * 1024;
    const head = [
      `POST /hooks/green-api/${id} HTTP/1.1`,
      "host: avatars.example",
      `authorization: ${token}`,
      "content-type: application/json",
      `content-length: ${bytes}`,
    ];
    const answer = await exchangeRaw(
      stage.url,
      Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), Buffer.alloc(bytes, 0x20)]),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(await countSignals(id)).toEqual({ ignored: 1 });
  });

  test("larger than all that is kept of one takes no room from others while the rest of it comes", async () => {
    const bodies: Socket[] = [];
    for (let made = 0; made < 4; made += 1) {
      const { id, token } = await addInstance(nowhere);
      const head = `POST /hooks/green-api/${id} HTTP/1.1\r\nhost: a\r\nauthorization: ${token}\r\ncontent-type: application/json`;
      for (let nth = 0; nth < 2; nth += 1) {
        const socket = await connectRaw(stage.url);
        socket.write(`${head}\r\ncontent-length: 20000000\r\nexpect: 100-continue\r\n\r\n`);
        // The server has the head, and waits for the body.
        await once(socket, "data");
        bodies.push(socket);
      }
    }
    const { id, token } = await addInstance(nowhere);
    expect((await tell(id, token, toMessage(id, nextChat()))).status).toBe(200);
    for (const socket of bodies) socket.destroy();
  });

  test("is answered with 503 while Postgres is away: its sender comes again", async () => {
    const { id, token } = await addInstance(nowhere);
    const valve = await openPostgresValve(stage.database.url);
    const api = await stage.serve({ databaseUrl: valve.url });
    const chatId = nextChat();
    const send = () =>
      api.call(`/hooks/green-api/${id}`, {
        method: "POST",
        key: undefined,
        json: toMessage(id, chatId),
        headers: { authorization: token },
      });
    valve.set("away");
    expect((await send()).status).toBe(503);
    valve.set("open");
    await eventually(async () => expect((await send()).status).toBe(200));
    expect(await readContact(id, chatId)).toMatchObject({ is_due: true });
    await api.stop();
    await valve.close();
  });
});

/** A contact whose answer came so long ago. */
async function addKnown(id: string, status: string, age: string): Promise<string> {
  const chatId = nextChat();
  await stage.database.pool.query(
    `insert into avatars.contacts (instance_id, chat_id, status, checked_at, refresh_at, refresh_step)
     values ($1, $2, $3, now() - $4::interval, now() + interval '5 days', 0)`,
    [id, chatId, status, age],
  );
  return chatId;
}

describe("a chat that is known", () => {
  test("is asked for again when its answer is a day old, behind all imports, and not before", async () => {
    const { id, token } = await addInstance(nowhere);
    const [old, young] = [
      await addKnown(id, "present", "25 hours"),
      await addKnown(id, "absent", "23 hours"),
    ];
    for (const chatId of [old, young, old, old]) await tell(id, token, toMessage(id, chatId));
    expect(await readContact(id, old)).toMatchObject({ status: "present", priority: 2, is_due: true });
    expect(await readContact(id, young)).toMatchObject({ status: "absent", is_due: false });
    expect(await countSignals(id)).toEqual({ refreshed: 1, known: 3 });
  });

  test("is left to its own pace where the provider does not answer for it, and where no answer is old", async () => {
    const { id, token } = await addInstance(nowhere);
    for (const status of ["unreachable", "invalid"]) {
      const chatId = await addKnown(id, status, "100 days");
      await tell(id, token, toMessage(id, chatId));
      expect(await readContact(id, chatId)).toMatchObject({ status, is_due: false });
    }
    const patient = await stage.serve({ env: { AVATARS_SIGNAL_MAX_AGE: "never" } });
    const chatId = await addKnown(id, "hidden", "100 days");
    const call = { method: "POST", key: undefined, headers: { authorization: token } };
    await patient.call(`/hooks/green-api/${id}`, { ...call, json: toMessage(id, chatId) });
    expect(await readContact(id, chatId)).toMatchObject({ is_due: false });
    const added = nextChat();
    await patient.call(`/hooks/green-api/${id}`, { ...call, json: toMessage(id, added) });
    expect(await readContact(id, added)).toMatchObject({ is_due: true });
    await patient.stop();
  });

  test("that was erased is not brought back by what still comes in", async () => {
    const { id, token } = await addInstance(nowhere);
    const chatId = nextChat();
    await tell(id, token, toMessage(id, chatId));
    expect((await stage.call(`/v1/instances/${id}/contacts/${chatId}`, { method: "DELETE" })).status).toBe(
      204,
    );
    expect((await tell(id, token, toMessage(id, chatId))).status).toBe(200);
    expect(await readContact(id, chatId)).toBeUndefined();
    expect(await findInPostgres(stage.database.pool, chatId)).toEqual([]);
    expect(await countSignals(id)).toEqual({ added: 1, erased: 1 });
  });
});

test("a thousand notifications at once are few statements, and all of them are there when they are answered", async () => {
  const { id, token } = await addInstance(nowhere);
  const many = Array.from({ length: 1_000 }, (_, index) => `7900${String(4_000_000 + (index % 250))}@c.us`);
  const answers = await Promise.all(many.map((chatId) => tell(id, token, toMessage(id, chatId))));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(await countContacts(id)).toBe(250);
  const { rows } = await stage.database.pool.query<{ batches: number }>(
    "select count(*)::int as batches from avatars.batches where instance_id = $1",
    [id],
  );
  expect(rows[0]?.batches).toBeLessThan(100);
  const listed = await stage.call(`/v1/batches?instanceId=${id}`);
  expect(listed.json()).toMatchObject({ items: [] });
});

test("a held instance is tried again when its account logs in", async () => {
  const { id, token } = await addInstance(nowhere);
  const { pool } = stage.database;
  await pool.query(
    `update avatars.instances set state = 'held', held_reason = 'INSTANCE_NOT_AUTHORIZED', held_since = now(),
       held_until = now() + interval '1 hour' where id = $1`,
    [id],
  );
  const isWaiting = async () =>
    (await pool.query("select from avatars.instances where id = $1 and held_until > now()", [id])).rowCount;
  await tell(id, token, toStateChange(id, "notAuthorized"));
  expect(await isWaiting()).toBe(1);
  await tell(id, token, toStateChange(id, "authorized"));
  expect(await isWaiting()).toBe(0);
});

const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("the token of a hook", () => {
  test("is taken as it is, and behind Bearer or Basic, as a name or a password", async () => {
    const { id, token } = await addInstance(nowhere);
    for (const authorization of [
      token,
      `Bearer ${token}`,
      `bearer ${token}`,
      `Basic ${token}`,
      `Basic ${base64(token)}`,
      `Basic ${base64(`green:${token}`)}`,
      `Basic ${base64(`${token}:`)}`,
    ])
      expect([authorization, (await tell(id, authorization, toMessage(id, nextChat()))).status]).toEqual([
        authorization,
        200,
      ]);
  });

  test("opens its own instance and nothing else, until there is another one or none", async () => {
    const [one, other] = [await addInstance(nowhere), await addInstance(nowhere)];
    const body = toMessage(one.id, nextChat());
    const right = await tell(one.id, one.token, body);
    expect(right.status).toBe(200);
    for (const [id, authorization] of [
      [one.id, undefined],
      [one.id, other.token],
      [one.id, `${one.token}x`],
      [one.id, `Bearer ${stage.key}`],
      [one.id, "x".repeat(5_000)],
      ["1101999999", one.token],
      ["nothing", one.token],
    ] as const) {
      const answer = await tell(id, authorization, body);
      expect([id, answer.status]).toEqual([id, 401]);
      expect(answer.headers["www-authenticate"]).toBe("Bearer");
    }
    expect((await stage.call("/v1/instances", { key: one.token })).status).toBe(401);
    const shown = await stage.call(`/v1/instances/${one.id}`);
    expect(shown.json()).toMatchObject({ hookSetAt: expect.stringMatching(/Z$/) });
    expect(shown.text).not.toContain(one.token);
    expect(await findInPostgres(stage.database.pool, one.token)).toEqual([]);

    const renewed = await stage.call(`/v1/instances/${one.id}/hook`, { method: "POST" });
    const newToken = String(renewed.json()["token"]);
    expect(await tellAnew(one.id, one.token, body)).toBe(401);
    expect(await tellAnew(one.id, newToken, body)).toBe(200);
    expect((await stage.call(`/v1/instances/${one.id}/hook`, { method: "DELETE" })).status).toBe(204);
    expect((await stage.call(`/v1/instances/${one.id}/hook`, { method: "DELETE" })).status).toBe(404);
    expect(await tellAnew(one.id, newToken, body)).toBe(401);
    expect((await stage.call(`/v1/instances/${one.id}`)).json()).toMatchObject({ hookSetAt: null });
  });

  test("comes with its address where it is known from where the server is reached", async () => {
    const { id } = await addInstance(nowhere);
    const reached = await stage.serve({ env: { AVATARS_PUBLIC_URL: "https://avatars.example.com/" } });
    const answer = await reached.call(`/v1/instances/${id}/hook`, { method: "POST" });
    expect(answer.json()).toMatchObject({ url: `https://avatars.example.com/hooks/green-api/${id}` });
    await reached.stop();
  });
});
