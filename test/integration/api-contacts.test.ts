import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ApiAnswer } from "../support/api-call.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats } from "../support/stage.ts";

const instanceId = "1101000001";
const pausedId = "1101000002";

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage();
  for (const id of [instanceId, pausedId]) await stage.addInstance(id);
  await act(pausedId, "pause");
  await stage.startWorker();
});
afterAll(() => stage.close());

let chats = 0;
/** That no other test has. */
function newChats(count: number): string[] {
  chats += count;
  return makeChats(count, chats);
}

function act(id: string, action: "pause" | "resume"): Promise<ApiAnswer> {
  return stage.call(`/v1/instances/${id}/${action}`, { method: "POST" });
}

const toPath = (chatId: string, id = instanceId) =>
  `/v1/instances/${id}/contacts/${encodeURIComponent(chatId)}`;

function refresh(chatId: string, wait = "30s", id = instanceId): Promise<ApiAnswer> {
  return stage.call(`${toPath(chatId, id)}/refresh?wait=${wait}`, { method: "POST", deadlineMs: 40_000 });
}

function version(answer: ApiAnswer): string {
  return (answer.json()["avatar"] as { version: string }).version;
}

async function getContact(chatId: string, id = instanceId): Promise<Record<string, unknown>> {
  return (await stage.call(toPath(chatId, id))).json();
}

describe("a contact", () => {
  test.each([
    ["present", "present", null],
    ["absent", "absent", "no-picture"],
    ["hidden", "hidden", "hidden"],
    ["invalid", "invalid", "no-such-chat"],
  ] as const)(
    "that is %s says so, and why there is no URL where there is none",
    async (kind, status, reason) => {
      const [chatId = ""] = newChats(1);
      stage.simulator.setTruth({ chatId, kind });
      const answer = await refresh(chatId);
      expect(answer.status).toBe(200);
      const contact = await getContact(chatId);
      expect(contact).toEqual(answer.json());
      expect(contact).toMatchObject({ instanceId, chatId, status, pending: false, attempts: 1 });
      expect(contact["missing"]).toEqual(reason === null ? null : { reason, detail: expect.any(String) });
      expect(Date.parse(String(contact["checkedAt"]))).toBeLessThanOrEqual(Date.now());
      const url = (contact["avatar"] as { url: string | null } | null)?.url ?? null;
      if (reason === null) expect(url).toMatch(/^https:/);
      else expect(url).toBeNull();
    },
  );

  test("that has no answer yet says so, and when it is due", async () => {
    const [chatId = ""] = newChats(1);
    await refresh(chatId, "0", pausedId);
    expect(await getContact(chatId, pausedId)).toMatchObject({
      status: "unknown",
      avatar: null,
      missing: { reason: "not-asked" },
      checkedAt: null,
      pending: true,
      dueAt: expect.any(String),
    });
  });

  test("keeps its last good avatar while no answer comes", async () => {
    const [chatId = ""] = newChats(1);
    stage.simulator.setTruth({ chatId, kind: "present" });
    const good = (await refresh(chatId)).json();
    stage.simulator.script({ chatId, answers: [{ outcome: "present", delayMs: 1_500 }] });
    const answer = await refresh(chatId, "10ms");
    expect([answer.status, answer.json()["contact"]]).toMatchObject([
      202,
      { status: "present", pending: true, avatar: good["avatar"], missing: null },
    ]);
  });

  test("is the same in any spelling, and one that is none is told so", async () => {
    const [chatId = ""] = newChats(1);
    await refresh(chatId, "0", pausedId);
    const digits = chatId.replace("@c.us", "");
    for (const spelling of [
      chatId,
      digits,
      `+${digits}`,
      `+${digits.slice(0, 1)} (${digits.slice(1, 4)}) ${digits.slice(4)}`,
    ]) {
      expect(await getContact(spelling, pausedId)).toMatchObject({ chatId });
    }
    for (const none of ["nobody", "12", "a@c.us", "%", "\0", "x".repeat(201)]) {
      const { status } = await stage.call(toPath(none, pausedId));
      expect([none, status]).toEqual([none, 400]);
    }
  });
});

describe("a refresh", () => {
  test("waits for the answer that is asked for now, of a contact that nobody knew", async () => {
    const [chatId = ""] = newChats(1);
    const before = Date.now();
    stage.simulator.setTruth({ chatId, picture: 1 });
    const first = await refresh(chatId);
    stage.simulator.setTruth({ chatId, picture: 2 });
    const second = await refresh(chatId);
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(Date.parse(String(first.json()["checkedAt"]))).toBeGreaterThanOrEqual(before - 1_000);
    expect(version(second)).not.toBe(version(first));
  });

  test("is told where to follow it when its time is up", async () => {
    const [chatId = ""] = newChats(1);
    stage.simulator.script({ chatId, answers: [{ outcome: "present", delayMs: 1_500 }] });
    const answer = await refresh(chatId, "50ms");
    expect(answer.status).toBe(202);
    const { batchId, contact } = answer.json();
    expect(answer.headers.location).toBe(`/v1/batches/${String(batchId)}`);
    expect(contact).toMatchObject({ chatId, pending: true });
    await eventually(async () => {
      const batch = await stage.call(answer.headers.location!);
      expect(batch.json()).toMatchObject({ source: "refresh", state: "done", priority: 0 });
    });
    const listed = await stage.call(`/v1/batches?instanceId=${instanceId}`);
    expect(listed.text).not.toContain(String(batchId));
    const withRefreshes = await stage.call(`/v1/batches?instanceId=${instanceId}&refreshes=true`);
    expect(withRefreshes.text).toContain(String(batchId));
  });

  test("does not wait for an instance that is paused", async () => {
    const [chatId = ""] = newChats(1);
    const answer = await refresh(chatId, "60s", pausedId);
    expect([answer.status, answer.json()["contact"]]).toEqual([
      202,
      expect.objectContaining({ pending: true }),
    ]);
  });

  test("takes as long as it waits, by what is told of it", async () => {
    const [chatId = ""] = newChats(1);
    stage.simulator.script({ chatId, answers: [{ outcome: "present", delayMs: 200 }] });
    const answer = await refresh(chatId);
    expect(answer.status).toBe(200);
    const requestId = answer.headers["x-request-id"];
    const findRecord = () => stage.records.find((record) => record.requestId === requestId);
    await eventually(() => expect(findRecord()).toMatchObject({ status: 200 }));
    expect(findRecord()?.tookMs).toBeGreaterThan(0);
  });

  test("needs a time that is one", async () => {
    for (const wait of ["", "soon", "-1s", "1h", "99999999999999999999", "1s&wait=2s"]) {
      const { status } = await refresh(newChats(1)[0]!, wait, pausedId);
      expect([wait, status]).toEqual([wait, 400]);
    }
  });
});

test("contacts are looked up by the thousand, each in its place", async () => {
  const [known = ""] = newChats(1);
  await refresh(known);
  const chatIds = [known, "nobody", ...newChats(996), `+${known.replace("@c.us", "")}`, ""];
  const answer = await stage.call("/v1/contacts/lookup", { method: "POST", json: { instanceId, chatIds } });
  expect(answer.status).toBe(200);
  const items = answer.json()["items"] as Record<string, unknown>[];
  expect(items.map(({ index }) => index)).toEqual(chatIds.map((_, index) => index));
  expect(items[0]!["contact"]).toEqual(await getContact(known));
  expect(items[1]).toEqual({ index: 1, contact: null, reason: "invalid", detail: expect.any(String) });
  expect(items[2]).toEqual({ index: 2, contact: null, reason: "unknown-contact" });
  expect(items[998]!["contact"]).toEqual(items[0]!["contact"]);
  expect(items[999]).toMatchObject({ reason: "invalid" });
  const tooMany = [...chatIds, known];
  const refused = await stage.call("/v1/contacts/lookup", {
    method: "POST",
    json: { instanceId, chatIds: tooMany },
  });
  expect(refused.status).toBe(400);
  const nowhere = await stage.call("/v1/contacts/lookup", {
    method: "POST",
    json: { instanceId: "999", chatIds },
  });
  expect(nowhere.status).toBe(404);
});

interface Change {
  readonly id: number;
  readonly chatId: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly url: string | null;
}

async function readFeed(from?: string): Promise<{ items: Change[]; next: string }> {
  const items: Change[] = [];
  let next = from;
  for (;;) {
    const page = (
      await stage.call(`/v1/changes?limit=2${next === undefined ? "" : `&cursor=${next}`}`)
    ).json();
    items.push(...(page["items"] as Change[]));
    next = String(page["next"]);
    if (page["more"] === false) return { items, next };
  }
}

describe("the changes of avatars", () => {
  test("are a feed that is read on and on, and a history of each contact", async () => {
    const begin = await readFeed();
    const [one = "", other = ""] = newChats(2);
    for (const [chatId, picture] of [
      [one, 1],
      [other, 1],
      [one, 2],
      [one, 2],
      [one, 3],
    ] as const) {
      stage.simulator.setTruth({ chatId, picture });
      expect((await refresh(chatId)).status).toBe(200);
    }
    const feed = await eventually(async () => {
      const read = await readFeed(begin.next);
      expect(read.items).toHaveLength(4);
      return read;
    });
    expect(feed.items.map(({ chatId }) => chatId)).toEqual([one, other, one, one]);
    expect(feed.items.map(({ id }) => id)).toEqual(feed.items.map(({ id }) => id).sort((a, b) => a - b));
    const [first, , second, third] = feed.items;
    expect([first!.from, second!.from, third!.from]).toEqual([null, first!.to, second!.to]);
    expect([first!.url, second!.url, third!.url]).toEqual([null, null, expect.stringMatching(/^https:/)]);
    expect((await readFeed(feed.next)).items).toEqual([]);
    const elsewhere = await stage.call(`/v1/changes?instanceId=${pausedId}`);
    expect(elsewhere.json()["items"]).toEqual([]);

    const history: Change[] = [];
    let cursor = "";
    do {
      const answer = await stage.call(`${toPath(one)}/history?limit=1${cursor}`);
      const page = answer.json() as unknown as { items: Change[]; next: string | null };
      history.push(...page.items);
      cursor = page.next === null ? "" : `&cursor=${page.next}`;
    } while (cursor !== "");
    expect(history).toEqual([third, second, first]);
  });
});

describe("a contact that is erased", () => {
  test("is gone with its history and what waits for it, and counted as such", async () => {
    const [chatId = "", other = ""] = newChats(2);
    await refresh(chatId);
    const batch = await stage.call("/v1/batches", {
      method: "POST",
      json: { instanceId: pausedId, chatIds: [chatId, other] },
    });
    const id = String(batch.json()["id"]);
    for (const owner of [instanceId, pausedId]) {
      const answer = await stage.call(toPath(chatId, owner), { method: "DELETE" });
      expect([answer.status, answer.body.length]).toEqual([204, 0]);
      for (const path of [toPath(chatId, owner), `${toPath(chatId, owner)}/history`]) {
        expect((await stage.call(path)).status).toBe(404);
      }
      expect((await stage.call(toPath(chatId, owner), { method: "DELETE" })).status).toBe(404);
    }
    expect((await stage.call("/v1/changes?limit=1000")).text).not.toContain(chatId);
    expect((await stage.call(`/v1/batches/${id}`)).json()).toMatchObject({
      accepted: 2,
      counts: { pending: 1, erased: 1 },
    });
    const items = (await stage.call(`/v1/batches/${id}/items`)).json()["items"];
    expect(items).toMatchObject([{ chatId: other }]);
    expect((await stage.call(`/v1/batches/${id}/results.csv`)).text).not.toContain(chatId);
    const { rows } = await stage.database.pool.query("select from avatars.contacts where chat_id = $1", [
      chatId,
    ]);
    expect(rows).toEqual([]);
  });
});
