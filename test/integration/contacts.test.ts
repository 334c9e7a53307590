import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import type { Hold } from "../../src/domain/trouble/hold.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { createAnswerPoller } from "../../src/http/answers/answer-poller.ts";
import { judgeApiChange } from "../../src/domain/judge-credentials.ts";
import { toOrigin } from "../../src/lib/api-url.ts";
import { changeInstance as judgeAndChange } from "../../src/store/instances/change-instance.ts";
import { eraseContact } from "../../src/store/contacts/erase-contact.ts";
import { findAnswered } from "../../src/store/batches/find-answered.ts";
import { findContacts } from "../../src/store/contacts/find-contacts.ts";
import {
  addInstance as addNewInstance,
  countContacts,
  findInstance,
} from "../../src/store/instances/instances.ts";
import { removeEmptyInstance, removeInstance } from "../../src/store/instances/remove-instance.ts";
import { listContactChanges } from "../../src/store/changes/list-contact-changes.ts";
import type { RefreshTicket } from "../../src/domain/requests/refresh-ticket.ts";
import { refreshContact } from "../../src/store/accept/refresh-contact.ts";
import { patiently, retryTransient } from "../../src/store/postgres/retry-transient.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { findCredentials } from "../../src/store/instances/sealed-tokens.ts";
import { eventually } from "../support/eventually.ts";
import {
  absent,
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  giveUp,
  hashErased,
  hidden,
  paceSettings,
  present,
  readAllDue,
  readContact,
  readContacts,
  readDatabaseNow,
  retry,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";
import { noImage } from "../support/no-image.ts";

let database: TestDatabase;
let pool: pg.Pool;
let ledger: RunLedger;
let instanceId: InstanceId;
const nowhere = "999" as InstanceId;
const one = toChatId(1);

beforeAll(async () => {
  database = await openTestDatabase();
  ({ pool } = database);
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());
beforeEach(async () => {
  instanceId = await addInstance(database);
});

/** A run asks for what is due, and is answered so for each. Returns when the calls were sent. */
async function answer(decision: ContactDecision, askedAtMs?: number): Promise<number> {
  const asked = await ask(ledger, instanceId);
  const sentAtMs = askedAtMs ?? (await readDatabaseNow(pool));
  await ledger.saveLookups(
    asked.contacts.map(({ contactId }) => toRecord(contactId, asked.epoch, sentAtMs, decision)),
  );
  await giveBack(ledger, instanceId, asked);
  return sentAtMs;
}

async function askAndAnswer(decision: ContactDecision): Promise<number> {
  await acceptContacts(pool, instanceId, [one]);
  return answer(decision);
}

async function refresh(chatId: ChatId = one): Promise<RefreshTicket> {
  const ticket = await refreshContact(pool, "key", instanceId, chatId);
  if (ticket === undefined) throw new Error("no instance");
  return ticket;
}

async function count(what: string, values: unknown[] = []): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(`select count(*)::int as n from avatars.${what}`, values);
  return rows[0]?.n ?? Number.NaN;
}

/** Somebody waits for a row of somebody else. */
const waitForLock = async () =>
  eventually(async () => {
    const waiting =
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    if ((await pool.query(waiting)).rowCount === 0) throw new Error("nobody waits");
  });

const readMembers = async (batchId: string) => count("batch_members where batch_id = $1", [batchId]);

/** Sealed. */
const findToken = async (id: InstanceId) => (await findCredentials(database, id))?.sealedToken;

describe("contacts", () => {
  test("are found with all that is known of them, each once; those that are not known are left out", async () => {
    await acceptContacts(pool, instanceId, [one]);
    const sentAtMs = await answer(present("/a.jpg"));
    await acceptContacts(pool, instanceId, [toChatId(2)], { priority: 2 });
    await acceptContacts(pool, await addInstance(database), [toChatId(3)]);
    const found = await findContacts(pool, instanceId, [toChatId(2), one, toChatId(3), toChatId(4), one]);
    const at = new Date(Math.floor(sentAtMs));
    const rows = await readContacts(pool, instanceId);
    expect(found.toSorted((a, b) => a.contactId - b.contactId)).toEqual([
      {
        contactId: rows[0]?.id,
        instanceId,
        chatId: one,
        externalRef: undefined,
        status: "present",
        avatar: {
          url: "https://pps.whatsapp.net/a.jpg?oe=1",
          urlExpiresAt: new Date("2027-01-01T00:00:00Z"),
          version: "/a.jpg",
          changedAt: at,
          seenAt: at,
        },
        image: noImage,
        pending: false,
        priority: 1,
        dueAt: undefined,
        checkedAt: at,
        attempts: 1,
        lastError: undefined,
        createdAt: expect.any(Date),
      },
      {
        contactId: rows[1]?.id,
        instanceId,
        chatId: toChatId(2),
        externalRef: undefined,
        status: "unknown",
        avatar: undefined,
        image: noImage,
        pending: true,
        priority: 2,
        dueAt: expect.any(Date),
        checkedAt: undefined,
        attempts: 0,
        lastError: undefined,
        createdAt: expect.any(Date),
      },
    ]);
  });

  test("keep an avatar that is known to be none apart from none that is known", async () => {
    const seenAt = new Date(Math.floor(await askAndAnswer(absent)));
    await askAndAnswer(hidden);
    const [found] = await findContacts(pool, instanceId, [one]);
    const none = { url: undefined, urlExpiresAt: undefined, version: undefined, changedAt: seenAt, seenAt };
    expect(found).toMatchObject({ status: "hidden", lastError: "not told", avatar: none });
  });

  test("tell their history newest first, page by page", async () => {
    expect(await listContactChanges(pool, instanceId, one, { after: undefined, limit: 2 })).toBeUndefined();
    for (const decision of [present("/a.jpg"), hidden, present("/b.jpg"), absent, present("/a.jpg")])
      await askAndAnswer(decision);
    const first = await listContactChanges(pool, instanceId, one, { after: undefined, limit: 2 });
    expect(first?.items).toMatchObject([
      { from: undefined, to: "/a.jpg", url: "https://pps.whatsapp.net/a.jpg?oe=1", chatId: one, instanceId },
      { from: "/b.jpg", to: undefined, url: undefined },
    ]);
    const second = await listContactChanges(pool, instanceId, one, { after: first?.next, limit: 2 });
    // The same picture as now: its URL is still good.
    expect(second?.items).toMatchObject([
      { from: "/a.jpg", to: "/b.jpg", url: undefined },
      { from: undefined, to: "/a.jpg", url: "https://pps.whatsapp.net/a.jpg?oe=1" },
    ]);
    expect(second?.next).toBeUndefined();
  });

  test("have an empty history before the first avatar, and none for a cursor of something else", async () => {
    await acceptContacts(pool, instanceId, [one]);
    const list = async (after?: string) => listContactChanges(pool, instanceId, one, { after, limit: 2 });
    expect(await list()).toEqual({ items: [], next: undefined });
    for (const after of ["", "x", "-1", "1.5", "9".repeat(30)])
      await expect(list(after)).rejects.toMatchObject({ code: "invalid-cursor" });
  });
});

describe("a refresh", () => {
  test("is a batch of one, before all others", async () => {
    await acceptContacts(pool, instanceId, [toChatId(5), toChatId(6)]);
    const { batchId, contactId } = await refresh();
    const { rows } = await pool.query("select * from avatars.batches where id = $1", [batchId]);
    expect(rows[0]).toMatchObject({
      instance_id: instanceId,
      source: "refresh",
      priority: 0,
      accepted: 1,
      duplicates: 0,
      rejected: 0,
      api_key_id: "key",
      completed_intake_at: expect.any(Date),
    });
    expect(rows[0]?.fresh_after).toEqual(rows[0]?.requested_at);
    const { contacts } = await ask(ledger, instanceId, { limit: 1 });
    expect(contacts).toMatchObject([{ contactId, chatId: one }]);
  });

  test("of an unknown instance is nothing", async () => {
    expect(await refreshContact(pool, "key", nowhere, one)).toBeUndefined();
    expect(await count("batches where instance_id = $1", [nowhere])).toBe(0);
  });

  test("asks for what is at rest with an answer, and for what waits in an import", async () => {
    await askAndAnswer(present("/a.jpg"));
    await refresh();
    expect(await readContact(pool, instanceId)).toMatchObject({
      is_due: true,
      priority: 0,
      status: "present",
    });
    await acceptContacts(pool, instanceId, [toChatId(2)], { priority: 2 });
    await refresh(toChatId(2));
    const [, waiting] = await readContacts(pool, instanceId);
    expect(waiting).toMatchObject({ is_due: true, priority: 0 });
  });

  test("is answered by a call that was sent after it, and not by one from before", async () => {
    await acceptContacts(pool, instanceId, [one]);
    const beforeMs = await readDatabaseNow(pool);
    const ticket = await refresh();
    expect(await findAnswered(pool, [ticket])).toEqual([]);
    await answer(present("/a.jpg"), beforeMs);
    expect(await findAnswered(pool, [ticket])).toEqual([]);
    await answer(present("/b.jpg"));
    expect(await findAnswered(pool, [ticket])).toEqual([ticket.batchId]);
  });

  test("is answered by the next call, although another one has come during that call", async () => {
    const first = await refresh();
    const askedAtMs = await readDatabaseNow(pool);
    const second = await refresh();
    await answer(present("/a.jpg"), askedAtMs);
    expect(await findAnswered(pool, [first, second])).toEqual([first.batchId]);
    await answer(present("/a.jpg"));
    expect(await findAnswered(pool, [first, second])).toEqual([first.batchId, second.batchId]);
  });

  test("is told apart from one that came within the same millisecond", async () => {
    const [first, second] = [await refresh(), await refresh()];
    const stamp = async (ticket: RefreshTicket, at: string) =>
      pool.query("update avatars.batches set requested_at = $2 where id = $1", [ticket.batchId, at]);
    await stamp(first, "2026-01-01T00:00:00.000100Z");
    await stamp(second, "2026-01-01T00:00:00.000900Z");
    await pool.query("update avatars.contacts set wanted_at = '2026-01-01T00:00:00.000500Z' where id = $1", [
      first.contactId,
    ]);
    expect(await findAnswered(pool, [first, second])).toEqual([first.batchId]);
  });

  test("is over when its contact has failed for good, was erased, or lost its instance", async () => {
    const failing = await refresh();
    await answer(retry);
    expect(await findAnswered(pool, [failing])).toEqual([]);
    await pool.query("update avatars.contacts set due_at = now() where id = $1", [failing.contactId]);
    await answer(giveUp);
    const erased = await refresh(toChatId(2));
    await eraseContact(pool, hashErased, instanceId, toChatId(2));
    const lost = await refresh(toChatId(3));
    const waiting = await refresh(toChatId(4));
    expect(await findAnswered(pool, [failing, erased, lost, waiting])).toEqual([
      failing.batchId,
      erased.batchId,
    ]);
    await removeInstance(database, instanceId);
    expect(await findAnswered(pool, [failing, erased, lost, waiting])).toHaveLength(4);
    expect(await findAnswered(pool, [])).toEqual([]);
  });

  test("is waited for until its answer is saved", async () => {
    const { whenAnswered } = createAnswerPoller({
      findAnswered: async (tickets) => findAnswered(pool, tickets),
      intervalMs: 5,
    });
    const ticket = await refresh();
    const controller = new AbortController();
    const [answered, left] = [
      whenAnswered(ticket, new AbortController().signal),
      whenAnswered(ticket, controller.signal),
    ];
    controller.abort();
    expect(await left).toBe(false);
    await answer(absent);
    expect(await answered).toBe(true);
  });
});

describe("an erased contact", () => {
  test("is gone with its avatar, its history, its places in batches and what waits for it", async () => {
    const other = await addInstance(database);
    await acceptContacts(pool, other, [one]);
    const batchId = await acceptContacts(pool, instanceId, [one, toChatId(2)]);
    await answer(present("/a.jpg"));
    const { batchId: refreshId, contactId } = await refresh();
    expect(await eraseContact(pool, hashErased, instanceId, one)).toBe(true);
    expect(await readContacts(pool, instanceId)).toMatchObject([{ chat_id: toChatId(2), version: "/a.jpg" }]);
    for (const table of ["avatars", "avatar_changes", "batch_members"])
      expect(await count(`${table} where contact_id = $1`, [contactId])).toBe(0);
    expect([await readMembers(batchId), await readMembers(refreshId)]).toEqual([1, 0]);
    expect(await count("batches where id = any ($1::uuid[]) and accepted > 0", [[batchId, refreshId]])).toBe(
      2,
    );
    expect(await readContacts(pool, other)).toHaveLength(1);
    expect(await eraseContact(pool, hashErased, instanceId, one)).toBe(false);
    expect(await eraseContact(pool, hashErased, nowhere, one)).toBe(false);
  });

  test.each([
    ["under the same lease", false],
    ["when the lease was handed over", true],
  ])("is not brought back by the answer to a call that was in flight, %s", async (_when, isHandedOver) => {
    await acceptContacts(pool, instanceId, [one, toChatId(2)]);
    const asked = await ask(ledger, instanceId);
    const { contacts, epoch } = asked;
    await eraseContact(pool, hashErased, instanceId, one);
    const nowMs = await readDatabaseNow(pool);
    const ids = contacts.map(({ contactId }) => contactId);
    if (isHandedOver) await giveBack(ledger, instanceId, asked, ids);
    await ledger.saveLookups(ids.map((id) => toRecord(id, epoch, nowMs, present("/a.jpg"))));
    expect(await readContacts(pool, instanceId)).toMatchObject([{ chat_id: toChatId(2), version: "/a.jpg" }]);
    expect(await count("avatars where contact_id = $1", [contacts[0]?.contactId])).toBe(0);
  });

  test("is erased from a batch, too, that is just being written", async () => {
    await acceptContacts(pool, instanceId, [one]);
    const client = await pool.connect();
    await client.query("begin");
    const { rows } = await client.query<{ id: string }>(
      "select avatars.enqueue($1, $2, 1, interval '0') as id",
      [instanceId, [one, toChatId(2)]],
    );
    const erasing = eraseContact(pool, hashErased, instanceId, one);
    await waitForLock();
    await client.query("commit");
    client.release();
    expect(await erasing).toBe(true);
    expect(await readMembers(rows[0]?.id ?? "")).toBe(1);
    expect(await readContacts(pool, instanceId)).toHaveLength(1);
  });

  test("may be asked for again, as one that was never known", async () => {
    await askAndAnswer(present("/a.jpg"));
    await eraseContact(pool, hashErased, instanceId, one);
    const batchId = await acceptContacts(pool, instanceId, [one], { maxAgeMs: 3_600_000 });
    expect(await readMembers(batchId)).toBe(1);
    expect(await readContact(pool, instanceId)).toMatchObject({
      status: "unknown",
      is_due: true,
      changes: [],
    });
  });

  test("is gone for good when saves, hand-overs and new requests meet it halfway", async () => {
    const chatIds = Array.from({ length: 60 }, (_, index) => toChatId(index));
    await acceptContacts(pool, instanceId, chatIds);
    const askAgain = async () => {
      for (let round = 0; round < 5; round += 1) await acceptContacts(pool, instanceId, chatIds);
    };
    const work = async () => {
      for (let round = 0; round < 20; round += 1) {
        const owner = randomUUID();
        const lease = await ledger.takeLease(instanceId, owner);
        const contacts = await readAllDue(ledger, instanceId, 20);
        const nowMs = await readDatabaseNow(pool);
        const ids = contacts.map(({ contactId }) => contactId);
        const epoch = lease.kind === "taken" ? lease.epoch : 0;
        const records = ids.map((id) => toRecord(id, epoch, nowMs, present(`/${round}.jpg`)));
        if (lease.kind === "taken") await giveBack(ledger, instanceId, { owner, epoch }, ids);
        // Saves lock by id, requests by chat id: they may deadlock, and workers save again then.
        await retryTransient(patiently, async () => ledger.saveLookups(records));
      }
    };
    const eraseAll = async () => {
      for (const chatId of chatIds) await eraseContact(pool, hashErased, instanceId, chatId);
    };
    await Promise.all([work(), work(), askAgain(), eraseAll()]);
    await eraseAll();
    expect(await readContacts(pool, instanceId)).toEqual([]);
    for (const table of ["avatars", "avatar_changes"])
      expect(
        await count(`${table} t where not exists (select from avatars.contacts where id = t.contact_id)`),
      ).toBe(0);
  });
});

describe("an instance", () => {
  const apiUrl = "http://127.0.0.1:9";
  const hold: Hold = { reason: "unauthorized", baseMs: 60_000, maxMs: 60_000, text: "refused" };

  const judgePorts = {
    mayPointTo: () => true,
    toOrigin,
    seal: (token: string) => `sealed ${token}`,
    sealAnew: () => undefined,
  };
  /** As the API does it. */
  const changeInstance = async (
    id: InstanceId,
    { token, ...changes }: Parameters<typeof judgeAndChange>[2] & { token?: string },
  ) => {
    const wish = { apiUrl: changes.apiUrl, token };
    return judgeAndChange(database, id, changes, (before) => judgeApiChange(before, wish, judgePorts));
  };

  test("is added once", async () => {
    const id = "2201" as InstanceId;
    const settings = { label: "sh\0op", requestsPerSecond: 5, maxInFlight: null };
    expect(await addNewInstance(database, { id, apiUrl, sealedToken: "first", ...settings })).toBe(true);
    expect(await addNewInstance(database, { id, apiUrl: "http://x", sealedToken: "second" })).toBe(false);
    expect(await findInstance(database, id)).toMatchObject({
      apiUrl,
      label: "shop",
      requestsPerSecond: 5,
      maxInFlight: undefined,
    });
    expect(await findToken(id)).toBe("first");
  });

  test("changes in what is given, and null takes a setting away", async () => {
    await changeInstance(instanceId, { label: "shop", requestsPerSecond: 7, maxInFlight: 9 });
    const changed = await changeInstance(instanceId, { label: null, requestsPerSecond: null });
    expect(changed).toMatchObject({
      before: { label: "shop", requestsPerSecond: 7, maxInFlight: 9 },
      after: { label: undefined, requestsPerSecond: undefined, maxInFlight: 9, apiUrl },
    });
    expect(await findToken(instanceId)).toBe("sealed");
    const unchanged = await changeInstance(instanceId, {});
    expect(unchanged.kind === "changed" && unchanged.before).toEqual(
      changed.kind === "changed" && changed.after,
    );
    expect(await changeInstance(nowhere, { label: "none" })).toEqual({ kind: "unknown" });
    expect(await changeInstance(nowhere, {})).toEqual({ kind: "unknown" });
  });

  test("puts its hold to the test with a new token or another URL; not with anything else", async () => {
    await ledger.holdInstance(instanceId, hold, await readDatabaseNow(pool));
    const isTestedBy = async (changes: Parameters<typeof changeInstance>[1]) => {
      await pool.query(
        "update avatars.instances set held_until = clock_timestamp() + interval '1 hour', hold_count = 3 where id = $1",
        [instanceId],
      );
      const update = await changeInstance(instanceId, changes);
      expect(update).toMatchObject({
        kind: "changed",
        before: { state: "held" },
        after: { state: "held", heldReason: "unauthorized" },
      });
      const tested = "instances where id = $1 and held_until <= clock_timestamp() and hold_count = 1";
      expect(update.kind === "changed" && update.isTested).toBe((await count(tested, [instanceId])) === 1);
      return update.kind === "changed" && update.isTested;
    };
    expect(await isTestedBy({ label: "shop", apiUrl })).toBe(false);
    expect(await isTestedBy({ token: "another" })).toBe(true);
    expect(await findToken(instanceId)).toBe("sealed another");
    expect(await isTestedBy({ apiUrl: `${apiUrl}/path` })).toBe(true);
  });

  test("is not held for what calls with the old token still report", async () => {
    const sentAtMs = await readDatabaseNow(pool);
    await changeInstance(instanceId, { token: "another" });
    expect(await ledger.holdInstance(instanceId, hold, sentAtMs)).toBeUndefined();
    expect(await findInstance(database, instanceId)).toMatchObject({ state: "active" });
  });

  test("is removed with its contacts and batches, and with what comes meanwhile, and no other", async () => {
    const other = await addInstance(database);
    const kept = await acceptContacts(pool, other, [one]);
    const batchId = await acceptContacts(pool, instanceId, [one, toChatId(2)]);
    await acceptContacts(pool, instanceId, []);
    const client = await pool.connect();
    await client.query("begin");
    await client.query("select avatars.enqueue($1, $2)", [instanceId, [toChatId(3)]]);
    const removing = removeInstance(database, instanceId);
    await waitForLock();
    const late = refreshContact(pool, "key", instanceId, toChatId(4));
    await client.query("commit");
    client.release();
    expect(await removing).toBe(true);
    // It came in time to be removed, or too late to be taken in.
    const ticket = await late;
    expect(ticket && (await readMembers(ticket.batchId))).toBe(ticket && 0);
    expect(await readMembers(batchId)).toBe(0);
    expect(await count("batches where instance_id = $1", [instanceId])).toBe(0);
    expect(await countContacts(database, instanceId)).toBe(0);
    expect(await removeInstance(database, instanceId)).toBe(false);
    expect([await readMembers(kept), await countContacts(database, other)]).toEqual([1, 1]);
  });

  test("is removed only while it is empty, where no contact may be lost", async () => {
    const empty = await addInstance(database);
    await acceptContacts(pool, empty, []);
    expect(await removeEmptyInstance(database, empty)).toBe(true);
    expect(await findInstance(database, empty)).toBeUndefined();
    const client = await pool.connect();
    await client.query("begin");
    await client.query("select avatars.enqueue($1, $2)", [instanceId, [one]]);
    const removing = removeEmptyInstance(database, instanceId);
    await waitForLock();
    await client.query("commit");
    client.release();
    expect(await removing).toBe(false);
    expect(await countContacts(database, instanceId)).toBe(1);
    expect(await findInstance(database, instanceId)).toMatchObject({ state: "active" });
  });
});
