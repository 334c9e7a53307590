import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { readBody, readUntil, type ApiAnswer, type ApiCall } from "../support/api-call.ts";
import { readDocument, type ApiDocument } from "../support/api-document.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats, parseCsv } from "../support/stage.ts";

/** Is worked on. */
const activeId = "1101000001";
/** Is not: its contacts wait. */
const pausedId = "1101000002";

let stage: ApiStage;
let document: ApiDocument;

beforeAll(async () => {
  stage = await openApiStage();
  document = readDocument((await stage.call("/openapi.json")).text);
  await stage.addInstance(activeId);
  await stage.addInstance(pausedId);
  await stage.call(`/v1/instances/${pausedId}/pause`, { method: "POST" });
  await stage.startWorker();
});
afterAll(() => stage.close());

let chats = 0;
/** That no other test has. */
function newChats(count: number): string[] {
  chats += count;
  return makeChats(count, chats);
}

function post(json: object, call: ApiCall = {}, query = ""): Promise<ApiAnswer> {
  return stage.call(`/v1/batches${query}`, { method: "POST", json, ...call });
}

async function enqueue(instanceId: string, chatIds: readonly string[]): Promise<string> {
  const answer = await post({ instanceId, chatIds });
  expect(answer.status).toBe(202);
  return String(answer.json()["id"]);
}

async function getBatch(id: string): Promise<Record<string, unknown>> {
  return (await stage.call(`/v1/batches/${id}`)).json();
}

async function whenDone(id: string): Promise<void> {
  await eventually(async () => expect(await getBatch(id)).toMatchObject({ state: "done" }));
}

async function countContacts(instanceId: string): Promise<number> {
  const { rows } = await stage.database.pool.query<{ contacts: number }>(
    "select count(*)::integer as contacts from avatars.contacts where instance_id = $1",
    [instanceId],
  );
  return rows[0]!.contacts;
}

describe("a batch that is posted", () => {
  test("tells what becomes of each of its items, and where to follow it", async () => {
    const [known = "", unknown = "", phone = ""] = newChats(3);
    await whenDone(await enqueue(activeId, [known]));
    const answer = await post({
      instanceId: activeId,
      contacts: [
        { chatId: known, externalRef: "crm-1" },
        { chatId: unknown, externalRef: " Łee 👩‍👩‍👧 " },
        { phone: `+${phone.replace("@c.us", "")}` },
        { chatId: unknown.replace("@c.us", "") },
        { chatId: "nobody" },
        {},
      ],
      priority: 0,
      label: "Łee",
      callbackUrl: "https://crm.example/done",
    });
    expect(answer.status).toBe(202);
    // How long it takes is known as soon as the worker has told how fast it is.
    const { etaSeconds: _, ...told } = answer.json();
    expect(told).toEqual({
      id: expect.any(String),
      instanceId: activeId,
      requestedAt: expect.any(String),
      counts: { accepted: 3, duplicates: 1, rejected: 2 },
      items: [
        { index: 0, status: "fresh", chatId: known },
        { index: 1, status: "queued", chatId: unknown },
        { index: 2, status: "queued", chatId: phone },
        { index: 3, status: "duplicate", chatId: unknown },
        { index: 4, status: "invalid", reason: expect.stringContaining("nobody") },
        { index: 5, status: "invalid", reason: expect.any(String) },
      ],
    });
    const batch = await stage.call(answer.headers.location!);
    expect(batch.json()).toMatchObject({
      id: answer.json()["id"],
      source: "api",
      label: "Łee",
      priority: 0,
      callbackUrl: "https://crm.example/done",
      accepted: 3,
      duplicates: 1,
      rejected: 2,
    });
    const contact = await stage.call(`/v1/instances/${activeId}/contacts/${unknown}`);
    expect(contact.json()).toMatchObject({ chatId: unknown, externalRef: "Łee 👩‍👩‍👧" });
  });

  test("asks again for what is older than maxAge", async () => {
    const [known = ""] = newChats(1);
    await whenDone(await enqueue(activeId, [known]));
    for (const [maxAge, status] of [
      ["7d", "fresh"],
      [3600, "fresh"],
      [0, "queued"],
      ["0", "queued"],
    ] as const) {
      const answer = await post({ instanceId: activeId, chatIds: [known], maxAge });
      expect(answer.json()["items"]).toEqual([{ index: 0, status, chatId: known }]);
      await whenDone(String(answer.json()["id"]));
    }
  });

  test("is refused as a whole by strict, and says which items are to blame", async () => {
    const before = await countContacts(pausedId);
    const answer = await post(
      { instanceId: pausedId, chatIds: [...newChats(2), "nobody", ...newChats(1), ""] },
      {},
      "?strict=true",
    );
    expect(answer.status).toBe(422);
    expect(answer.json()).toMatchObject({
      code: "invalid-contacts",
      errors: [{ path: "/chatIds/2" }, { path: "/chatIds/4" }],
    });
    expect(await countContacts(pausedId)).toBe(before);
  });

  test("may have ten thousand items, and not one more", async () => {
    const all = Array.from({ length: 10_001 }, (_, index) => `790020${String(index).padStart(5, "0")}`);
    const before = await countContacts(pausedId);
    expect((await post({ instanceId: pausedId, chatIds: all })).status).toBe(400);
    expect(await countContacts(pausedId)).toBe(before);
    const answer = await post({ instanceId: pausedId, chatIds: all.slice(1) });
    expect([answer.status, answer.json()["counts"]]).toEqual([
      202,
      { accepted: 10_000, duplicates: 0, rejected: 0 },
    ]);
    expect(await countContacts(pausedId)).toBe(before + 10_000);
  });

  test("without any contact that is one is a batch that is done", async () => {
    const answer = await post({ instanceId: activeId, chatIds: ["nobody"] });
    expect(answer.json()).toMatchObject({ counts: { accepted: 0, duplicates: 0, rejected: 1 } });
    expect(await getBatch(String(answer.json()["id"]))).toMatchObject({ state: "done" });
  });
});

const withKey = (key: string): ApiCall => ({ headers: { "idempotency-key": key } });

describe("an idempotency key", () => {
  test("makes a repetition the same, whatever has become of the contacts, quoted or bare", async () => {
    const key = randomUUID();
    const body = { instanceId: activeId, chatIds: [...newChats(2), "nobody"] };
    const first = await post(body, withKey(`"${key}"`));
    expect([first.status, first.headers["idempotency-replayed"]]).toEqual([202, undefined]);
    await whenDone(String(first.json()["id"]));
    for (const again of [`"${key}"`, key]) {
      const second = await post(body, withKey(again));
      expect([second.status, second.headers["idempotency-replayed"]]).toEqual([202, "true"]);
      expect(second.json()).toEqual(first.json());
      expect(second.headers.location).toBe(first.headers.location);
    }
  });

  test("with another body, or another wish, is refused; of another API key it is another one", async () => {
    const key = randomUUID();
    const [one = "", two = ""] = newChats(2);
    const body = { instanceId: pausedId, chatIds: [one] };
    const first = await post(body, withKey(key));
    for (const [other, query] of [
      [{ ...body, chatIds: [two] }, ""],
      [{ ...body, priority: 2 }, ""],
      [body, "?strict=true"],
    ] as const) {
      const refused = await post(other, withKey(key), query);
      expect([refused.status, refused.json()["code"]]).toEqual([422, "idempotency-key-reused"]);
    }
    const theirs = await post(body, { ...withKey(key), key: await stage.createKey() });
    expect(theirs.status).toBe(202);
    expect(theirs.json()["id"]).not.toBe(first.json()["id"]);
  });

  test("is not used up by a request that is refused", async () => {
    const key = randomUUID();
    const [chatId] = newChats(1);
    expect((await post({ instanceId: pausedId, chatIds: [7] }, withKey(key))).status).toBe(400);
    expect((await post({ instanceId: "999", chatIds: [chatId] }, withKey(key))).status).toBe(404);
    const strict = await post({ instanceId: pausedId, chatIds: ["nobody"] }, withKey(key), "?strict=true");
    expect(strict.status).toBe(422);
    expect((await post({ instanceId: pausedId, chatIds: [chatId] }, withKey(key))).status).toBe(202);
  });

  test("whose first request is still at work is told to come again", async () => {
    const [chatId = ""] = newChats(1);
    await enqueue(pausedId, [chatId]);
    const blocker = await stage.database.pool.connect();
    onTestFinished(() => blocker.release());
    await blocker.query("begin");
    await blocker.query("select from avatars.contacts where chat_id = $1 for update", [chatId]);
    const key = randomUUID();
    const body = { instanceId: pausedId, chatIds: [chatId], maxAge: 0 };
    const first = post(body, withKey(key));
    await eventually(async () => {
      const { rows } = await blocker.query(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      expect(rows.length).toBeGreaterThan(0);
    });
    const second = await post(body, withKey(key));
    expect([second.status, second.json()["code"], second.headers["retry-after"]]).toEqual([
      409,
      "in-progress",
      "1",
    ]);
    await blocker.query("rollback");
    expect((await first).status).toBe(202);
    const third = await post(body, withKey(key));
    expect([third.status, third.json()]).toEqual([202, (await first).json()]);
  });

  test.each(["", '""', " ", "a b", '"a', 'a"', "x".repeat(256), "ä", "a, b"])(
    "that is none is refused: %j",
    async (key) => {
      const answer = await post({ instanceId: pausedId, chatIds: newChats(1) }, withKey(key));
      expect([answer.status, answer.json()["errors"]]).toEqual([
        400,
        [{ path: "header/idempotency-key", message: expect.any(String) }],
      ]);
    },
  );
});

async function readPages(path: string): Promise<Record<string, unknown>[]> {
  const items: Record<string, unknown>[] = [];
  let cursor: unknown;
  do {
    const query = typeof cursor === "string" ? `&cursor=${cursor}` : "";
    const page = (await stage.call(`${path}${query}`)).json();
    items.push(...(page["items"] as Record<string, unknown>[]));
    cursor = page["next"];
  } while (cursor !== null);
  return items;
}

describe("lists", () => {
  test("of batches and of their items have each once, page by page", async () => {
    const id = "1101000003";
    await stage.addInstance(id);
    await stage.call(`/v1/instances/${id}/pause`, { method: "POST" });
    const made: string[] = [];
    for (let batch = 0; batch < 5; batch += 1) made.unshift(await enqueue(id, newChats(7)));
    const listed = await readPages(`/v1/batches?instanceId=${id}&limit=2`);
    expect(listed.map((batch) => batch["id"])).toEqual(made);
    const items = await readPages(`/v1/batches/${made[0]!}/items?limit=3`);
    expect(items).toHaveLength(7);
    expect(new Set(items.map((item) => item["chatId"])).size).toBe(7);
    expect(new Set(items.map((item) => item["status"]))).toEqual(new Set(["pending"]));
    expect(await readPages(`/v1/batches/${made[0]!}/items?status=present,absent`)).toEqual([]);
  });

  test("refuse a cursor of another list, or of nobody", async () => {
    const id = await enqueue(pausedId, newChats(3));
    const { next } = (await stage.call(`/v1/batches/${id}/items?limit=1`)).json();
    const cursors = [String(next), "x", "MTo", Buffer.from("1:\0").toString("base64url"), `${String(next)}=`];
    for (const cursor of cursors) {
      const { status, text } = await stage.call(`/v1/batches?cursor=${cursor}`);
      expect([cursor, status]).toEqual([cursor, 400]);
      expect(text).toContain("invalid-cursor");
    }
  });
});

describe("the results of a batch", () => {
  test("are the same in all formats, and are filtered by status", async () => {
    const chatIds = newChats(30);
    const id = await enqueue(activeId, chatIds);
    await whenDone(id);
    const csv = await stage.call(`/v1/batches/${id}/results.csv`);
    expect([csv.status, csv.headers["content-type"], csv.headers["content-disposition"]]).toEqual([
      200,
      "text/csv; charset=utf-8",
      `attachment; filename="${id}.avatars.csv"`,
    ]);
    const ndjson = await stage.call(`/v1/batches/${id}/results.ndjson`);
    expect(ndjson.headers["content-type"]).toContain("application/x-ndjson");
    const rows = parseCsv(csv.text);
    const lines = ndjson.text.trimEnd().split("\n");
    const objects = lines.map((line) => JSON.parse(line) as Record<string, string | number | null>);
    expect(rows.map((row) => row["chat_id"])).toEqual(chatIds);
    expect(
      objects.map((object) =>
        Object.fromEntries(Object.entries(object).map(([key, value]) => [key, String(value ?? "")])),
      ),
    ).toEqual(rows);
    const present = parseCsv((await stage.call(`/v1/batches/${id}/results.csv?status=present`)).text);
    expect(present).toEqual(rows.filter((row) => row["status"] === "present"));
    expect(present.length).toBeGreaterThan(0);
    expect((await stage.call(`/v1/batches/${id}/results.csv?status=odd`)).status).toBe(400);
  });

  test("of nobody are a header, or nothing", async () => {
    const answer = await post({ instanceId: activeId, chatIds: ["nobody"] });
    const id = String(answer.json()["id"]);
    expect((await stage.call(`/v1/batches/${id}/results.csv`)).text).toMatch(/^instance_id,.*\n$/);
    expect((await stage.call(`/v1/batches/${id}/results.ndjson`)).text).toBe("");
  });
});

interface ServerSent {
  readonly id: string;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

function parseEvents(text: string): ServerSent[] {
  return [...text.matchAll(/^id: (.*)\nevent: (.*)\ndata: (.*)\n\n/gm)].map(
    ([, id = "", event = "", data = ""]) => ({
      id,
      event,
      data: JSON.parse(data) as Record<string, unknown>,
    }),
  );
}

describe("the events of a batch", () => {
  test("tell how it gets on, to its end; nothing is told twice", async () => {
    const id = await enqueue(pausedId, newChats(4));
    const watching = await stage.open(`/v1/batches/${id}/events`);
    expect(watching.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    expect(watching.headers["cache-control"]).toBe("no-store");
    const begun = (await readUntil(watching, /^data: /m)).toString();
    expect(begun).toMatch(/^retry: \d+\n\n/);
    const [first] = parseEvents(begun);
    expect(first).toMatchObject({ event: "progress", data: { id, state: "working", accepted: 4 } });

    const again = await stage.open(`/v1/batches/${id}/events`, { headers: { "last-event-id": first!.id } });
    await stage.call(`/v1/batches/${id}/cancel`, { method: "POST" });
    const events = parseEvents((await readBody(again)).toString());
    expect(events).toMatchObject([
      { event: "done", data: { id, state: "cancelled", counts: { cancelled: 4 } } },
    ]);
    for (const { data } of events) document.checkComponent("Batch", data);

    const over = await stage.call(`/v1/batches/${id}/events`, {
      headers: { "last-event-id": events[0]!.id },
    });
    expect([over.status, over.body.length]).toEqual([204, 0]);
    const late = await stage.call(`/v1/batches/${id}/events`);
    expect(parseEvents(late.text)).toEqual(events);
    const stranger = await stage.call(`/v1/batches/${id}/events`, {
      headers: { "last-event-id": "of another" },
    });
    expect(parseEvents(stranger.text)).toEqual(events);
  });

  test("end with the batch, with its counts as they are then", async () => {
    const id = await enqueue(activeId, newChats(50));
    const { text } = await stage.call(`/v1/batches/${id}/events`);
    const events = parseEvents(text);
    expect(events.at(-1)).toMatchObject({ event: "done", data: { state: "done", counts: { pending: 0 } } });
    expect(events.slice(0, -1).every(({ event }) => event === "progress")).toBe(true);
    expect(new Set(events.map((event) => event.id)).size).toBe(events.length);
    expect(text.endsWith("retry: 2000\n\n")).toBe(true);
    const { etaSeconds: _, callsPerSecond: __, ...told } = events.at(-1)!.data;
    expect(await getBatch(id)).toMatchObject(told);
  });
});

describe("a batch", () => {
  test("is cancelled, and begun anew by a retry", async () => {
    const id = await enqueue(pausedId, newChats(3));
    const act = async (action: string) => {
      const answer = await stage.call(`/v1/batches/${id}/${action}`, { method: "POST" });
      return [answer.status, answer.json()];
    };
    expect(await act("cancel")).toEqual([200, { id, contacts: 3 }]);
    expect(await getBatch(id)).toMatchObject({ state: "cancelled", counts: { pending: 0, cancelled: 3 } });
    expect(await act("cancel")).toEqual([200, { id, contacts: 0 }]);
    expect(await act("retry")).toEqual([200, { id, contacts: 3 }]);
    expect(await getBatch(id)).toMatchObject({ state: "working", counts: { pending: 3, cancelled: 0 } });
    expect(await act("retry")).toEqual([200, { id, contacts: 0 }]);
  });

  test("says what it waits for", async () => {
    const id = await enqueue(pausedId, newChats(1));
    expect(await getBatch(id)).toMatchObject({
      state: "working",
      etaSeconds: null,
      held: [{ instanceId: pausedId, state: "paused" }],
    });
  });
});
