import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { readBody, type ApiAnswer } from "../support/api-call.ts";
import { openApiStage, type ApiStage, type TestApi } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { connectRaw } from "../support/raw-exchange.ts";
import { makeChats } from "../support/stage.ts";

const instanceId = "1101000001";
const [chatId = ""] = makeChats(1);
const line = `{"chatId":"${chatId}"}\n`;
const uploadPath = `/v1/batches?instanceId=${instanceId}`;
const headers = { "content-type": "application/x-ndjson" };

let stage: ApiStage;
/** Of what lasts, to hang up at the end. */
const open: { destroy(): unknown }[] = [];

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(instanceId);
});
afterEach(() => {
  for (const one of open.splice(0)) one.destroy();
});
afterAll(() => stage.close());

async function makeBatch(): Promise<string> {
  const json = { instanceId, chatIds: [chatId] };
  return String((await stage.call("/v1/batches", { method: "POST", json })).json()["id"]);
}

/** An upload that goes on; resolves when it has its place. */
async function startUpload(
  key: string,
): Promise<{ readonly body: PassThrough; readonly answered: Promise<ApiAnswer> }> {
  const label = randomUUID();
  const body = new PassThrough();
  body.write(line);
  open.push(body);
  const answered = stage.call(`${uploadPath}&label=${label}`, { method: "POST", key, headers, body });
  answered.catch(() => undefined);
  await eventually(async () => {
    const { rowCount } = await stage.database.pool.query("select from avatars.batches where label = $1", [
      label,
    ]);
    expect(rowCount).toBe(1);
  });
  return { body, answered };
}

const upload = (key: string) => stage.call(uploadPath, { method: "POST", key, headers, body: line });

/** A request whose body does not come to its end. */
async function startBody(
  api: TestApi,
  key: string,
  given: Record<string, string | number>,
): Promise<ClientRequest> {
  const sent = request(new URL("/v1/contacts/lookup", api.url), {
    method: "POST",
    agent: false,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...given },
  });
  sent.on("error", () => undefined);
  open.push(sent);
  sent.write('{"chatIds":[');
  await once(sent, "socket");
  return sent;
}

/** Refreshes that were taken in, but for those that are answered by then. */
async function countWaiting(): Promise<number> {
  const { rows } = await stage.database.pool.query<{ count: number }>(
    "select count(*)::integer as count from avatars.batches where source = 'refresh'",
  );
  return rows[0]!.count;
}

async function lookUp(api: TestApi, key: string): Promise<[number, string]> {
  const json = { instanceId, chatIds: [chatId] };
  const answer = await api.call("/v1/contacts/lookup", { method: "POST", key, json });
  return [answer.status, answer.text];
}

describe("one key alone", () => {
  test("takes two of the places for uploads, and others find theirs until all are taken", async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, async () => stage.createKey()));
    const [own = "", ...others] = keys;
    const uploads = [await startUpload(own), await startUpload(own)];
    const third = await upload(own);
    expect([third.status, third.headers["retry-after"], third.json()]).toMatchObject([
      429,
      "5",
      { code: "rate-limited", detail: expect.stringContaining("one key has 2 uploads") },
    ]);
    for (const key of others) expect((await upload(key)).status).toBe(202);
    for (const key of others.slice(1)) uploads.push(await startUpload(key), await startUpload(key));
    const ninth = await upload(others[0]!);
    expect([ninth.status, ninth.json()]).toMatchObject([
      503,
      { code: "unavailable", detail: expect.stringContaining("8 uploads") },
    ]);
    const json = { instanceId, chatIds: [chatId] };
    expect((await stage.call("/v1/batches", { method: "POST", key: own, json })).status).toBe(202);
    for (const { body } of uploads) body.end();
    for (const { answered } of uploads) expect((await answered).status).toBe(202);
    await eventually(async () => expect((await upload(own)).status).toBe(202));
  });

  test("takes a quarter of the places for events", async () => {
    const path = `/v1/batches/${await makeBatch()}/events`;
    const [own, other] = [await stage.createKey(), await stage.createKey()];
    const streams: IncomingMessage[] = [];
    for (let count = 0; count < 250; count += 50) {
      streams.push(
        ...(await Promise.all(Array.from({ length: 50 }, async () => stage.open(path, { key: own })))),
      );
    }
    open.push(...streams);
    expect(streams.every(({ statusCode }) => statusCode === 200)).toBe(true);
    const refused = await stage.call(path, { key: own });
    expect([refused.status, refused.json()["code"]]).toEqual([429, "rate-limited"]);
    expect(refused.json()["detail"]).toContain("250 streams of events");
    const others = await stage.open(path, { key: other });
    expect(others.statusCode).toBe(200);
    open.push(others);
  });

  test("has a hundred requests at work, and others theirs", async () => {
    const [own, other] = [await stage.createKey(), await stage.createKey()];
    await Promise.all(
      Array.from({ length: 100 }, async () => startBody(stage, own, { "content-length": 100 })),
    );
    await eventually(async () => {
      const [status, text] = await lookUp(stage, own);
      // Where it was quicker than one of them that one was turned away.
      if (status === 200) await startBody(stage, own, { "content-length": 100 });
      expect([status, text.includes("one key has 100 requests at once")]).toEqual([429, true]);
    });
    expect(await lookUp(stage, other)).toContain(200);
    for (const one of open.splice(0)) one.destroy();
    await eventually(async () => expect(await lookUp(stage, own)).toContain(200));
  });

  test.each([
    ["of a length that is told", { "content-length": 1_000 }],
    ["in chunks", { "transfer-encoding": "chunked" }],
  ])("holds two of the largest bodies in memory, %s", async (_what, given) => {
    const api = await stage.serve({ settings: { maxBodyBytes: 1_000 } });
    const [own, other] = [await stage.createKey(), await stage.createKey()];
    const isRefused = async () => {
      const [status, text] = await lookUp(api, own);
      return status === 429 && text.includes("one key has 2000 bytes of JSON bodies");
    };
    await eventually(async () => {
      for (const one of open.splice(0)) one.destroy();
      for (const body of [await startBody(api, own, given), await startBody(api, own, given)]) {
        await new Promise((resolve) => body.write("1,".repeat(490), resolve));
      }
      // Where it was quicker than the bodies they may have been refused in its place.
      expect(await isRefused()).toBe(true);
    });
    expect(await lookUp(api, other)).toContain(200);
    for (const one of open.splice(0)) one.destroy();
    await eventually(async () => expect(await lookUp(api, own)).toContain(200));
  });

  test("waits for a hundred refreshes, and is answered at once beyond that", async () => {
    const api = await stage.serve();
    const [own, other] = [await stage.createKey(), await stage.createKey()];
    let answered = 0;
    const refresh = async (chat: string, key: string) => {
      const path = `/v1/instances/${instanceId}/contacts/${chat}/refresh?wait=60`;
      const response = await api.open(path, { method: "POST", key, deadlineMs: 90_000 });
      answered += 1;
      response.resume();
      return response.statusCode;
    };
    const chats = makeChats(100, 1_000);
    const all = chats.slice(0, 50).map(async (chat) => refresh(chat, own));
    // Not all at once: so many are at work before they wait.
    await eventually(async () => expect(await countWaiting()).toBe(50));
    all.push(...chats.slice(50).map(async (chat) => refresh(chat, own)));
    await eventually(async () => expect(await countWaiting()).toBe(100));
    // No worker answers any.
    expect(answered).toBe(0);
    expect(await refresh(chatId, own)).toBe(202);
    expect(answered).toBe(1);
    // What waits is not at work: the key may ask for other things.
    expect(await lookUp(api, own)).toContain(200);
    void refresh(chatId, other);
    expect(await lookUp(api, other)).toContain(200);
    expect(answered).toBe(1);
    await api.stop();
    await Promise.all(all);
  });
});

describe("who is slow", () => {
  test("is given up on, however often a byte comes: an upload must bring so many in each span", async () => {
    const api = await stage.serve({ settings: { idleMs: 400, leastBytesPerSecond: 1_000 } });
    const body = new PassThrough();
    open.push(body);
    const answered = api.call(uploadPath, { method: "POST", headers, body });
    const trickle = setInterval(() => body.write("\n"), 20);
    onTestFinished(() => clearInterval(trickle));
    const answer = await answered;
    expect([answer.status, answer.json()["code"]]).toEqual([408, "request-timeout"]);
    expect(answer.json()["detail"]).toMatch(/^(nothing|less than 1000 bytes a second) came for 0\.4 s$/);
  });

  test("keeps no download open, nor its transaction, by reading now and then", async () => {
    const api = await stage.serve({ reading: { spanMs: 1_500, leastBytesPerSecond: 10_000_000 } });
    const batchId = await makeLargeBatch();
    const { rows } = await stage.database.pool.query<{ name: string }>("select current_database() as name");
    const reading = async () => {
      const { rowCount } = await stage.database.pool.query(
        "select from pg_stat_activity where datname = $1 and query like 'fetch %' and xact_start is not null",
        [rows[0]!.name],
      );
      return rowCount;
    };
    const socket = await connectRaw(api.url);
    open.push(socket);
    socket.pause();
    socket.write(
      `GET /v1/batches/${batchId}/results.csv HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${stage.key}\r\n\r\n`,
    );
    await eventually(async () => expect(await reading()).toBe(1));
    // A little of it each time: never idle.
    const sip = setInterval(() => void socket.read(1_000), 20);
    onTestFinished(() => clearInterval(sip));
    await eventually(async () => expect(await reading()).toBe(0));
    await eventually(() =>
      expect(api.records.filter(({ route }) => route.endsWith("results.csv"))).toHaveLength(1),
    );
    expect(api.failures).toEqual([]);
    const whole = await stage.open(`/v1/batches/${batchId}/results.csv`);
    expect((await readBody(whole)).length).toBeGreaterThan(largeContacts * 200);
  });

  test("has no answer in memory for long that is not read", async () => {
    const api = await stage.serve({ reading: { spanMs: 400, leastBytesPerSecond: 10_000_000 } });
    const socket = await connectRaw(api.url);
    open.push(socket);
    socket.pause();
    const asked = `GET /openapi.json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${stage.key}\r\n\r\n`;
    // As many as fit into what the system takes over unread, and more.
    for (let count = 0; count < 400; count += 1) socket.write(asked);
    const closed = once(socket, "close");
    await eventually(() => {
      expect(api.records.length).toBeGreaterThan(0);
      expect(api.records.at(-1)).toMatchObject({ aborted: true });
    });
    socket.resume();
    await closed;
  });

  test("is asked to come again after a while: events have an end, and go on with the last one that was told", async () => {
    const api = await stage.serve({ settings: { watchMs: 1_500 } });
    const path = `/v1/batches/${await makeBatch()}/events`;
    const first = (await readBody(await api.open(path))).toString();
    expect(first).toMatch(/^retry: 2000\n\nid: \S+\nevent: progress\n[^]*retry: 2000\n\n$/);
    const [, id = ""] = /^id: (.*)$/m.exec(first) ?? [];
    const second = (await readBody(await api.open(path, { headers: { "last-event-id": id } }))).toString();
    expect(second).toBe("retry: 2000\n\nretry: 2000\n\n");
  });
});

/** Far more than the buffers of a connection hold. */
const largeContacts = 40_000;

async function makeLargeBatch(): Promise<string> {
  const batchId = await makeBatch();
  await stage.database.pool.query(
    `with added as (
       insert into avatars.contacts (instance_id, chat_id, external_ref)
       select $1, '49170' || n || '@c.us', repeat('x', 200) from generate_series(1000000, 1000000 + $2 - 1) n returning id
     ) insert into avatars.batch_members (batch_id, contact_id, position) select $3, id, row_number() over () from added`,
    [instanceId, largeContacts, batchId],
  );
  return batchId;
}
