import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Contact, ContactDetail, ContactList } from "../../src/client/wire.ts";
import { contactStatuses } from "../../src/domain/contact-status.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { openSession } from "../support/console-session.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats } from "../support/stage.ts";

const worked = "1101000001";
const idle = "1101000002";
const [present = "", absent = "", hidden = ""] = makeChats(3);
/** Contacts of an instance that no worker asks. */
const many = makeChats(60, 100);

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage({ images: true, workerEnv: { AVATARS_KEEP_IMAGES: "history" } });
  for (const id of [worked, idle]) await stage.addInstance(id);
  await stage.call(`/v1/instances/${idle}/pause`, { method: "POST" });
  await stage.startWorker();
  stage.simulator.setTruth({ chatId: present, kind: "present", picture: 1 });
  stage.simulator.setTruth({ chatId: absent, kind: "absent" });
  stage.simulator.setTruth({ chatId: hidden, kind: "hidden" });
  for (const [instanceId, chatIds] of [
    [worked, [present, absent, hidden]],
    [idle, many],
  ] as const)
    await stage.call("/v1/batches", { method: "POST", json: { instanceId, chatIds } });
  await eventually(async () => {
    expect((await readAll(`instanceId=${worked}&status=unknown`)).length).toBe(0);
    expect((await getOne(present)).imageSha256).not.toBeNull();
  });
});
afterAll(() => stage.close());

async function readPage(query: string, key?: string): Promise<ContactList> {
  const { status, text } = await stage.call(`/v1/contacts?${query}`, key === undefined ? {} : { key });
  expect([query, status]).toEqual([query, 200]);
  return JSON.parse(text) as ContactList;
}

async function readAll(query: string, key?: string): Promise<Contact[]> {
  const found: Contact[] = [];
  for (let next: string | null = ""; next !== null;) {
    const page: ContactList = await readPage(next === "" ? query : `${query}&cursor=${next}`, key);
    found.push(...page.items);
    next = page.next;
  }
  return found;
}

const chatIdsOf = (contacts: readonly Contact[]) => contacts.map(({ chatId }) => chatId).toSorted();

async function getOne(chatId: string): Promise<ContactDetail> {
  const contact = (await readAll(`instanceId=${worked}`)).find((one) => one.chatId === chatId);
  return (await stage.call(`/v1/contacts/${contact?.contactId}`)).json() as unknown as ContactDetail;
}

/** What another program may do: each contact gets one of these statuses. */
async function setStatuses(chatIds: readonly string[], statuses: readonly string[]): Promise<void> {
  await stage.database.pool.query(
    `update avatars.contacts c set status = n.status
     from unnest($1::text[], $2::text[]) as n (chat_id, status) where c.chat_id = n.chat_id`,
    [chatIds, chatIds.map((_, index) => statuses[index % statuses.length])],
  );
}

describe("a list of contacts", () => {
  test("has those of a status, of one instance or of all, each as it is told alone", async () => {
    expect(await readAll(`instanceId=${worked}&status=hidden`)).toEqual([
      (await stage.call(`/v1/instances/${worked}/contacts/${hidden}`)).json(),
    ]);
    expect(chatIdsOf(await readAll("status=present,absent&limit=1"))).toEqual([present, absent].toSorted());
    expect(chatIdsOf(await readAll("status=hidden,hidden&status=hidden"))).toEqual([hidden]);
    expect(chatIdsOf(await readAll("limit=9"))).toEqual([present, absent, hidden, ...many].toSorted());
    const { counts } = (await stage.call("/v1/contacts/counts")).json();
    expect(counts).toEqual({ present: 1, absent: 1, hidden: 1, invalid: 0, unreachable: 0, unknown: 60 });
    const ofOne = (await stage.call(`/v1/contacts/counts?instanceId=${worked}`)).json();
    expect(ofOne).toMatchObject({ counts: { unknown: 0 }, mostCounted: 100_000 });
  });

  test("has nothing of instances that the key may not see, and refuses what it cannot be asked", async () => {
    const key = await stage.createKey({ scopes: ["read"], instanceIds: [worked] });
    expect(chatIdsOf(await readAll("limit=2", key))).toEqual([present, absent, hidden].toSorted());
    expect((await stage.call("/v1/contacts/counts", { key })).json()).toMatchObject({
      counts: { unknown: 0 },
    });
    const [other] = await readAll(`instanceId=${idle}`);
    const { next } = await readPage("limit=1");
    const { next: changed } = await readPage("changedSince=2020-01-01T00:00:00Z&limit=1");
    expect(changed).toBeNull();
    const without = await stage.createKey({ scopes: ["enqueue"] });
    for (const [path, status, call] of [
      [`/v1/contacts?instanceId=${idle}`, 404, { key }],
      [`/v1/contacts/counts?instanceId=${idle}`, 404, { key }],
      [`/v1/contacts/${other?.contactId}`, 404, { key }],
      [`/v1/contacts/${other?.contactId}/history`, 404, { key }],
      [`/v1/contacts/${other?.contactId}/refresh`, 403, { key, method: "POST" }],
      [`/v1/contacts/${other?.contactId}`, 403, { key, method: "DELETE" }],
      ["/v1/contacts", 403, { key: without }],
      [`/v1/contacts/${other?.contactId}`, 403, { key: without }],
      ["/v1/contacts?status=lost", 400, {}],
      ["/v1/contacts?limit=1001", 400, {}],
      ["/v1/contacts?changedSince=today", 400, {}],
      ["/v1/contacts?cursor=MToxMjM0NQ", 400, {}],
      [`/v1/contacts?changedSince=2020-01-01T00:00:00Z&cursor=${next}`, 400, {}],
      ["/v1/contacts/999999999999999", 404, {}],
      ["/v1/contacts/1e3", 400, {}],
    ] as const)
      expect([path, (await stage.call(path, call)).status]).toEqual([path, status]);
  });

  test("has each contact that stays of the filter exactly once, whatever is saved meanwhile", async () => {
    const staying = many.slice(0, 40);
    const moving = many.slice(40);
    for (let round = 0; round < 5; round += 1) {
      await setStatuses(staying, contactStatuses.slice(round % 3));
      const stopped = new AbortController();
      const writing = (async () => {
        for (let shift = 0; !stopped.signal.aborted; shift += 1)
          await setStatuses(moving, contactStatuses.slice(shift % contactStatuses.length));
      })();
      const query = `instanceId=${idle}&status=${contactStatuses.slice(1).join()}&limit=${3 + round}`;
      const found = chatIdsOf(await readAll(query));
      stopped.abort();
      await writing;
      expect(new Set(found).size).toBe(found.length);
      const expected = await readAll(query);
      expect(found).toEqual(
        expect.arrayContaining(chatIdsOf(expected).filter((one) => staying.includes(one))),
      );
    }
    await setStatuses(many, ["unknown"]);
  });
});

describe("a contact by its own id", () => {
  test("says why there is no picture, and when it is asked next and why", async () => {
    const shown = await getOne(present);
    expect(shown).toMatchObject({
      missing: null,
      imageState: { state: "kept", error: null },
      next: { reason: "age", priority: null, stopped: null, at: expect.any(String) },
    });
    expect(await getOne(absent)).toMatchObject({
      missing: { reason: "no-picture" },
      imageState: { state: "none" },
      next: { reason: "age", intervalSeconds: expect.any(Number) },
    });
    const [waiting] = await readAll(`instanceId=${idle}&limit=1`);
    expect((await stage.call(`/v1/contacts/${waiting?.contactId}`)).json()).toMatchObject({
      missing: { reason: "not-asked" },
      next: { reason: "asked", priority: 1, stopped: { reason: "paused", until: null } },
    });
  });

  test("is asked now, is then among those that changed, and shows the old picture as long as it is kept", async () => {
    const before = await getOne(present);
    expect(await readAll("changedSince=2020-01-01T00:00:00Z")).toEqual([]);
    stage.simulator.setTruth({ chatId: present, kind: "present", picture: 2 });
    const path = `/v1/contacts/${before.contactId}`;
    expect((await stage.call(`${path}/refresh?wait=30s`, { method: "POST" })).status).toBe(200);
    await eventually(async () => expect((await getOne(present)).imageSha256).not.toBe(before.imageSha256));
    const since = `changedSince=${before.avatar?.changedAt}&limit=1`;
    expect(chatIdsOf(await readAll(since))).toEqual([present]);
    expect(chatIdsOf(await readAll(`${since}&status=present&instanceId=${worked}`))).toEqual([present]);
    for (const other of [
      `${since}&status=absent`,
      `${since}&instanceId=${idle}`,
      "changedSince=2100-01-01T00:00:00Z",
    ])
      expect(await readAll(other)).toEqual([]);
    const history = (await stage.call(`${path}/history`)).json() as { items: Record<string, unknown>[] };
    expect(history.items[0]).toMatchObject({
      fromImageSha256: before.imageSha256,
      fromImageKept: true,
      imageKept: true,
    });
    const image = `${stage.url}${path}/images/${before.imageSha256}`;
    const headers = { authorization: `Bearer ${stage.key}` };
    const old = await fetch(image, { headers });
    expect([old.status, old.headers.get("x-content-type-options")]).toEqual([200, "nosniff"]);
    const hash = createHash("sha256")
      .update(Buffer.from(await old.arrayBuffer()))
      .digest("hex");
    expect(hash).toBe(before.imageSha256);
    const etag = old.headers.get("etag") ?? "";
    expect((await fetch(image, { headers: { ...headers, "if-none-match": etag } })).status).toBe(304);
    expect((await fetch(image)).status).toBe(401);
    expect((await stage.call(`${path}/images/${"0".repeat(64)}`)).status).toBe(404);
    // More than one caller may have in memory: to be asked again, and kept by no cache.
    await stage.database.pool.query(
      "update avatars.images set bytes = 40000000 where sha256 = decode($1, 'hex')",
      [hash],
    );
    const busy = await fetch(image, { headers });
    expect([busy.status, busy.headers.get("cache-control"), busy.headers.get("etag")]).toEqual([
      429,
      null,
      null,
    ]);
    // As without AVATARS_KEEP_IMAGES=history.
    await stage.database.pool.query("delete from avatars.images where sha256 = decode($1, 'hex')", [hash]);
    const gone = await stage.call(`${path}/images/${hash}`);
    expect([gone.status, gone.json()["detail"]]).toEqual([410, expect.stringContaining("no longer kept")]);
    expect((await stage.call(`${path}/history`)).json()).toMatchObject({
      items: [{ fromImageKept: false }, {}],
    });
  });

  test("is masked for a session, which may ask for its number, and leaves a row of that one contact", async () => {
    const session = await openSession(stage.url, { key: stage.key });
    const { contactId } = await getOne(present);
    for (const path of [
      `/v1/contacts?instanceId=${worked}`,
      `/v1/contacts/${contactId}`,
      `/v1/contacts/${contactId}/history`,
      "/v1/contacts?limit=1",
    ]) {
      const { status, text } = await session.call(path);
      expect([path, status, text.includes(present)]).toEqual([path, 200, false]);
      const { next } = JSON.parse(text) as { next?: unknown };
      if (typeof next === "string")
        expect(Buffer.from(next, "base64url").toString()).not.toContain(present.slice(0, 11));
    }
    const shown = await session.call(`/v1/contacts/${contactId}`, { headers: { "x-avatars-reveal": "1" } });
    expect(shown.json()).toMatchObject({ chatId: present });
    const audit = (await stage.call(`/v1/audit?contact=${present}`)).json() as { items: unknown[] };
    expect(audit.items).toMatchObject([{ action: "contact.revealed", instanceId: worked }]);
  });

  test("is erased, and gone from all lists", async () => {
    const { contactId } = await getOne(absent);
    expect((await stage.call(`/v1/contacts/${contactId}`, { method: "DELETE" })).status).toBe(204);
    for (const call of [{}, { method: "DELETE" }, { method: "POST" }] as const) {
      const path = `/v1/contacts/${contactId}${call.method === "POST" ? "/refresh" : ""}`;
      expect([call, (await stage.call(path, call)).status]).toEqual([call, 404]);
    }
    expect(chatIdsOf(await readAll(`instanceId=${worked}`))).toEqual([present, hidden].toSorted());
    const { rows } = await stage.database.pool.query(
      "select from avatars.contact_statuses where contact_id = $1",
      [contactId],
    );
    expect(rows).toEqual([]);
  });
});
