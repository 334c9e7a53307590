import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { Hold } from "../../src/domain/trouble/hold.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { eraseContact } from "../../src/store/contacts/erase-contact.ts";
import { probeNow } from "../../src/store/work/holds.ts";
import { findInstance, putInstance } from "../../src/store/instances/instances.ts";
import { setPaused } from "../../src/store/instances/pause-instance.ts";
import { createDueHeads } from "../../src/worker/lane/due-heads.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import {
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  hashErased,
  paceSettings,
  present,
  readAllDue,
  readContacts,
  readDatabaseNow,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { eventually } from "../support/eventually.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());

const hourMs = 3_600_000;
const hold: Hold = { reason: "blocked", baseMs: hourMs, maxMs: 10 * hourMs, text: "blocked" };

const chat = toChatId(1);
const policy = { probeBaseMs: hourMs, probeMaxMs: 10 * hourMs };
const correspondents: Hold = {
  ...hold,
  reason: "correspondents-exhausted",
  allowedChatIds: [toChatId(1), toChatId(2)],
};

/** What views do not show. */
async function readRow(id: InstanceId) {
  const { rows } = await database.pool.query<{
    allowed_chat_ids: string[] | null;
    hold_count: number;
    ramp_from: Date | null;
  }>("select allowed_chat_ids, hold_count, ramp_from from avatars.instances where id = $1", [id]);
  return rows[0];
}

const letHoldRunOut = async (id: InstanceId) =>
  database.pool.query("update avatars.instances set held_until = clock_timestamp() where id = $1", [id]);

/** After whatever the database's clock says now, though it counts in microseconds. */
const askedNow = () => Date.now() + 1_000;

const open = async (id: InstanceId) => ledger.holdInstance(id, hold, askedNow());

describe("a hold", () => {
  test("begins now, says why, and returns until when", async () => {
    const id = await addInstance(database);
    const from = await readDatabaseNow(database.pool);
    const { until } = (await ledger.holdInstance(id, hold, askedNow())) ?? {};
    const view = await findInstance(database, id);
    expect(view).toMatchObject({ state: "held", heldReason: "blocked", heldUntil: until });
    expect(until?.getTime()).toBeGreaterThanOrEqual(Math.floor(from) + hourMs);
    expect(view?.heldSince?.getTime()).toBeGreaterThanOrEqual(Math.floor(from));
  });

  test("is reported by many calls in flight and counted once", async () => {
    const id = await addInstance(database);
    const first = await ledger.holdInstance(id, hold, askedNow());
    const before = await findInstance(database, id);
    const others = await Promise.all(
      Array.from({ length: 5 }, async () =>
        ledger.holdInstance(id, { ...hold, reason: "expired" }, askedNow()),
      ),
    );
    expect(first).toMatchObject({ isNew: true });
    expect(others).toEqual(Array(5).fill(undefined));
    expect(await findInstance(database, id)).toEqual(before);
  });

  test("doubles with each one in a row up to its maximum, counted from the first", async () => {
    const id = await addInstance(database);
    const waits: number[] = [];
    const since = new Set<number | undefined>();
    for (let holds = 0; holds < 6; holds += 1) {
      const { rows } = await database.pool.query<{ wait: number }>(
        "select extract(epoch from ($1::timestamptz - clock_timestamp()))::float8 / 3600 as wait",
        [(await open(id))?.until],
      );
      waits.push(Math.round(rows[0]?.wait ?? Number.NaN));
      since.add((await findInstance(database, id))?.heldSince?.getTime());
      await letHoldRunOut(id);
    }
    expect(waits).toEqual([1, 2, 4, 8, 10, 10]);
    expect(since.size).toBe(1);
  });

  test("is not opened again by the late answer to a call that was sent before it ran out", async () => {
    const id = await addInstance(database);
    const askedBefore = Date.now() - 1_000;
    expect(await ledger.holdInstance(id, hold, askedBefore)).toBeDefined();
    await letHoldRunOut(id);
    expect(await ledger.holdInstance(id, hold, askedBefore)).toBeUndefined();
    await ledger.endHold(id, chat, askedNow());
    expect(await ledger.holdInstance(id, hold, askedBefore)).toBeUndefined();
    expect(await findInstance(database, id)).toMatchObject({ state: "active" });
    expect(await open(id)).toBeDefined();
  });

  test("that ended with a good answer is forgotten: the next one is short again", async () => {
    const id = await addInstance(database);
    await ledger.holdInstance(id, hold, askedNow());
    await letHoldRunOut(id);
    await ledger.holdInstance(id, hold, askedNow());
    await ledger.endHold(id, chat, askedNow());
    expect(await findInstance(database, id)).toMatchObject({
      state: "active",
      heldReason: undefined,
      heldSince: undefined,
      heldUntil: undefined,
    });
    const from = await readDatabaseNow(database.pool);
    const { until } = (await open(id)) ?? {};
    expect(until?.getTime()).toBeLessThan(from + 2 * hourMs);
  });

  test("neither holds nor ends what a person has paused", async () => {
    const id = await addInstance(database);
    await setPaused(database, id, true);
    expect(await ledger.holdInstance(id, hold, askedNow())).toBeUndefined();
    await ledger.endHold(id, chat, askedNow());
    await probeNow(database.pool, id);
    expect(await findInstance(database, id)).toMatchObject({ state: "paused", heldUntil: undefined });
  });

  test("is new once, until it has ended", async () => {
    const id = await addInstance(database);
    const told: (boolean | undefined)[] = [];
    for (let round = 0; round < 2; round += 1) {
      for (let signs = 0; signs < 3; signs += 1) {
        told.push((await open(id))?.isNew);
        await letHoldRunOut(id);
      }
      await (round === 0 ? ledger.endHold(id, chat, askedNow()) : setPaused(database, id, true));
    }
    await setPaused(database, id, false);
    told.push((await open(id))?.isNew);
    expect(told).toEqual([true, false, false, true, false, false, true]);
  });

  test("is not opened by late answers to calls from before the instance was paused, nor from before it was resumed", async () => {
    const id = await addInstance(database);
    const beforePause = await readDatabaseNow(database.pool);
    await setPaused(database, id, true);
    const inPause = await readDatabaseNow(database.pool);
    await setPaused(database, id, false);
    expect(await ledger.holdInstance(id, hold, beforePause)).toBeUndefined();
    expect(await ledger.holdInstance(id, hold, inPause)).toBeUndefined();
    expect(await open(id)).toMatchObject({ isNew: true });
  });

  test("that was paused and is resumed begins slowly, as after any hold; a pause alone does not", async () => {
    const id = await addInstance(database);
    const pauseAndResume = async () => {
      await setPaused(database, id, true);
      await setPaused(database, id, true);
      await setPaused(database, id, false);
    };
    await pauseAndResume();
    expect(await readRow(id)).toMatchObject({ ramp_from: null, hold_count: 0 });
    await open(id);
    const from = await readDatabaseNow(database.pool);
    await pauseAndResume();
    const row = await readRow(id);
    expect(row?.ramp_from?.getTime()).toBeGreaterThanOrEqual(Math.floor(from));
    expect(row).toMatchObject({ hold_count: 0 });
    // What comes of calls from before the hold was opened is old news as well.
    expect(await ledger.holdInstance(id, hold, from - 1_000)).toBeUndefined();
    await pauseAndResume();
    expect(await readRow(id)).toMatchObject({ ramp_from: row?.ramp_from });
  });

  test("can be probed at once, by new credentials too", async () => {
    const id = await addInstance(database);
    await ledger.holdInstance(id, hold, askedNow());
    await probeNow(database.pool, id);
    const probing = await findInstance(database, id);
    expect(probing?.state).toBe("held");
    expect(probing?.heldUntil?.getTime()).toBeLessThanOrEqual(await readDatabaseNow(database.pool));
    await database.pool.query(
      "update avatars.instances set held_until = now() + interval '1 hour' where id = $1",
      [id],
    );
    await putInstance(database, { id, apiUrl: "http://127.0.0.1:9", sealedToken: "another" });
    const tested = await findInstance(database, id);
    expect(tested).toMatchObject({ state: "held", heldReason: "blocked" });
    expect(tested?.heldUntil?.getTime()).toBeLessThanOrEqual(await readDatabaseNow(database.pool));
  });

  test("goes on for the next interval under its reason when a probe tells nothing new", async () => {
    const id = await addInstance(database);
    expect(await ledger.prolongHold(id, policy, askedNow())).toBeUndefined();
    await ledger.holdInstance(id, hold, askedNow());
    const { heldSince } = (await findInstance(database, id)) ?? {};
    await letHoldRunOut(id);
    const from = await readDatabaseNow(database.pool);
    const prolonged = await ledger.prolongHold(id, policy, askedNow());
    expect(prolonged).toMatchObject({ reason: "blocked" });
    expect(prolonged?.heldForMs).toBeGreaterThan(0);
    expect(prolonged?.heldForMs).toBeLessThan(hourMs);
    expect(prolonged?.until.getTime()).toBeGreaterThanOrEqual(Math.floor(from) + 2 * hourMs);
    expect(await findInstance(database, id)).toMatchObject({ heldSince, heldUntil: prolonged?.until });
  });

  test("is not prolonged by what comes of calls from before it ran out", async () => {
    const id = await addInstance(database);
    const askedBefore = Date.now() - 1_000;
    await ledger.holdInstance(id, hold, askedNow());
    expect(await ledger.prolongHold(id, policy, askedNow())).toBeUndefined();
    await letHoldRunOut(id);
    expect(await ledger.prolongHold(id, policy, askedBefore)).toBeUndefined();
    expect(await readRow(id)).toMatchObject({ hold_count: 1 });
  });

  test("ends with a clear answer to a call from after it began, even before it runs out, and calls begin slowly", async () => {
    const id = await addInstance(database);
    const askedBefore = await readDatabaseNow(database.pool);
    await ledger.holdInstance(id, hold, askedNow());
    expect(await ledger.endHold(id, chat, askedBefore)).toBe("held");
    expect(await findInstance(database, id)).toMatchObject({ state: "held" });
    const asked = await readDatabaseNow(database.pool);
    expect(await ledger.endHold(id, chat, asked)).toBe("ended");
    expect(await findInstance(database, id)).toMatchObject({ state: "active", heldReason: undefined });
    expect((await readRow(id))?.ramp_from?.getTime()).toBeGreaterThanOrEqual(Math.floor(asked));
    expect(await ledger.endHold(id, chat, askedNow())).toBe("not-held");
  });

  test("of an instance that is gone is nothing", async () => {
    expect(await ledger.holdInstance("999" as InstanceId, hold, askedNow())).toBeUndefined();
    expect(await ledger.endHold("999" as InstanceId, chat, askedNow())).toBe("not-held");
  });
});

/** Begins the steps while another transaction has the instance, in this order: they have it one after the other. */
async function queueUp(id: InstanceId, steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  const client = await database.pool.connect();
  const begun: Promise<unknown>[] = [];
  try {
    await client.query("begin");
    await client.query("select from avatars.instances where id = $1 for no key update", [id]);
    for (const step of steps) {
      begun.push(step());
      await eventually(async () => {
        const { rows } = await database.pool.query(
          "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        expect(rows).toHaveLength(begun.length);
      });
    }
  } finally {
    await client.query("commit");
    client.release();
    await Promise.all(begun);
  }
}

describe("a hold that leaves some chats to be asked", () => {
  const hold = correspondents;

  async function addHeld(): Promise<InstanceId> {
    const id = await addInstance(database);
    await acceptContacts(database.pool, id, [1, 2, 3].map(toChatId));
    await ledger.holdInstance(id, hold, await readDatabaseNow(database.pool));
    return id;
  }

  test("keeps them, and is not ended by their answers", async () => {
    const id = await addHeld();
    expect(await readRow(id)).toMatchObject({ allowed_chat_ids: [toChatId(1), toChatId(2)] });
    expect(await ledger.endHold(id, toChatId(1), askedNow())).toBe("held");
    await probeNow(database.pool, id);
    expect(await ledger.endHold(id, toChatId(2), askedNow())).toBe("held");
    expect(await ledger.endHold(id, toChatId(3), askedNow())).toBe("ended");
    expect(await readRow(id)).toMatchObject({ allowed_chat_ids: null });
  });

  test("is ended by their answers, too, once the month is over", async () => {
    const id = await addHeld();
    await database.pool.query(
      "update avatars.instances set held_since = held_since - interval '32 days', held_until = now() where id = $1",
      [id],
    );
    expect(await ledger.endHold(id, toChatId(1), askedNow())).toBe("ended");
  });

  test("is not opened anew by the others that are on their way, nor by an answer from before", async () => {
    const askedBefore = Date.now() - 1_000;
    const id = await addHeld();
    const before = await findInstance(database, id);
    expect(await ledger.holdInstance(id, hold, askedNow())).toBeUndefined();
    expect(await ledger.holdInstance(id, { ...hold, reason: "blocked" }, askedBefore)).toBeUndefined();
    expect(await findInstance(database, id)).toEqual(before);
  });

  test("loses the chats that are refused all the same, and gets none of them back", async () => {
    const id = await addHeld();
    for (const allowedChatIds of [[toChatId(2), toChatId(3)], [toChatId(1)]]) {
      expect(await ledger.holdInstance(id, { ...hold, allowedChatIds }, askedNow())).toMatchObject({
        isNew: false,
      });
    }
    expect(await readRow(id)).toMatchObject({ allowed_chat_ids: [] });
    expect(await ledger.holdInstance(id, hold, askedNow())).toBeUndefined();
  });

  test("gives way to trouble that one of them tells of", async () => {
    const id = await addHeld();
    const { allowedChatIds: _none, ...other } = { ...hold, reason: "unauthorized" as const };
    expect(await ledger.holdInstance(id, other, askedNow())).toBeDefined();
    expect(await findInstance(database, id)).toMatchObject({ state: "held", heldReason: "unauthorized" });
    expect(await readRow(id)).toMatchObject({ allowed_chat_ids: null });
  });

  test("gives way to a hold of its own, which answers from before do not end", async () => {
    const id = await addHeld();
    const askedBefore = await readDatabaseNow(database.pool);
    const { allowedChatIds: _none, ...other } = { ...hold, reason: "unauthorized" as const };
    await ledger.holdInstance(id, other, askedNow());
    expect(await ledger.endHold(id, toChatId(1), askedBefore)).toBe("held");
    await letHoldRunOut(id);
    expect(await ledger.prolongHold(id, policy, askedNow())).toMatchObject({ reason: "unauthorized" });
    expect(await ledger.endHold(id, toChatId(1), askedNow())).toBe("ended");
  });

  test("keeps one that is no contact, which is asked when it becomes one", async () => {
    const id = await addInstance(database);
    await ledger.holdInstance(id, hold, askedNow());
    await acceptContacts(database.pool, id, [1, 3].map(toChatId));
    const { instance } = await ask(ledger, id);
    const contacts = await ledger.readHeld(id, { chatIds: instance.allowedChatIds ?? [] }, [], 10);
    expect(contacts.map(({ chatId }) => chatId)).toEqual([toChatId(1)]);
  });

  test("loses one that is erased, and does not get it back from a later answer", async () => {
    const id = await addHeld();
    expect(await eraseContact(database.pool, hashErased, id, toChatId(1))).toBe(true);
    expect(await readRow(id)).toMatchObject({ allowed_chat_ids: [toChatId(2)] });
    await letHoldRunOut(id);
    expect(await ledger.holdInstance(id, hold, askedNow())).toBeDefined();
    expect(await readRow(id)).toMatchObject({ allowed_chat_ids: [toChatId(2)] });
    // Nor one that never was a contact.
    expect(await eraseContact(database.pool, hashErased, id, toChatId(9))).toBe(false);
    await letHoldRunOut(id);
    const allowedChatIds = [2, 9, 1].map(toChatId);
    expect(await ledger.holdInstance(id, { ...hold, allowedChatIds }, askedNow())).toBeDefined();
    expect(await readRow(id)).toMatchObject({ allowed_chat_ids: [toChatId(2)] });
    // Another instance has its own.
    const other = await addInstance(database);
    await ledger.holdInstance(other, hold, askedNow());
    expect(await readRow(other)).toMatchObject({ allowed_chat_ids: [toChatId(1), toChatId(2)] });
  });

  test("has one again that was erased and is asked for again, until it is erased again", async () => {
    const id = await addHeld();
    for (let round = 0; round < 2; round += 1) {
      await eraseContact(database.pool, hashErased, id, toChatId(1));
      expect(await readRow(id)).toMatchObject({ allowed_chat_ids: [toChatId(2)] });
      await letHoldRunOut(id);
      await acceptContacts(database.pool, id, [toChatId(1)]);
      await ledger.holdInstance(id, hold, askedNow());
      expect(await readRow(id)).toMatchObject({ allowed_chat_ids: [toChatId(1), toChatId(2)] });
    }
  });

  test.each(["an erasure, then the hold", "the hold, then an erasure"])(
    "does not keep one that is erased while it is written: %s",
    async (order) => {
      const id = await addInstance(database);
      await acceptContacts(database.pool, id, [1, 2].map(toChatId));
      const steps = [
        async () => eraseContact(database.pool, hashErased, id, toChatId(1)),
        async () => ledger.holdInstance(id, hold, askedNow()),
      ];
      await queueUp(id, order.startsWith("the hold") ? steps.toReversed() : steps);
      expect(await readRow(id)).toMatchObject({ allowed_chat_ids: [toChatId(2)] });
      expect((await readContacts(database.pool, id)).map((contact) => contact.chat_id)).toEqual([
        toChatId(2),
      ]);
    },
  );

  test("stays the same one when fewer of them are left", async () => {
    const id = await addHeld();
    const { heldSince } = (await findInstance(database, id)) ?? {};
    await ledger.holdInstance(id, { ...hold, allowedChatIds: [toChatId(2)] }, askedNow());
    expect(await findInstance(database, id)).toMatchObject({ heldSince });
  });
});

/**
 * Probes the held instance as often, each in vain, with runs that choose as the worker's do. Each second run has handed over before
 * its call has failed. Returns whom it asked.
 */
async function probe(id: InstanceId, times: number, error = "no answer"): Promise<string[]> {
  const probed: string[] = [];
  for (let round = 0; round < times; round += 1) {
    await letHoldRunOut(id);
    const { epoch, owner, instance, databaseNowMs } = await ask(ledger, id, { limit: 0 });
    expect(instance).toMatchObject({ probing: true, allowedChatIds: undefined });
    const heads = createDueHeads(id);
    heads.takeIn(await ledger.readDue(heads.toRequests(2, databaseNowMs * 1_000)), () => false);
    const { contactId = 0, chatId = "" } = heads.take(true) ?? {};
    probed.push(chatId);
    const left = { nextCallInMs: 0, recentAgesMs: [], calls: 1, turns: heads.turns };
    const handOver = async (inFlight: readonly number[]) =>
      ledger.handOver(owner, { instanceId: id, epoch, ...left, inFlight });
    if (round % 2) await handOver([contactId]);
    await ledger.putOff({ contactId, epoch: epoch - 1 }, "not ours");
    await ledger.putOff({ contactId, epoch }, error);
    if (round % 2 === 0) await handOver([]);
  }
  return probed;
}

describe("a probe that failed", () => {
  test("is followed by one of whoever has waited longest, whatever their priorities", async () => {
    const id = await addInstance(database);
    const imported = Array.from({ length: 12 }, (_, index) => toChatId(100 + index));
    await acceptContacts(database.pool, id, imported, { priority: 1 });
    await acceptContacts(database.pool, id, [toChatId(1)], { priority: 0 });
    await acceptContacts(database.pool, id, [toChatId(2)], { priority: 2 });
    // One that comes back from its backoff.
    await database.pool.query(
      "update avatars.contacts set turn = null, attempts = 1 where instance_id = $1 and chat_id = $2",
      [id, imported[0]],
    );
    await ledger.holdInstance(id, hold, askedNow());
    const all = [...imported, toChatId(1), toChatId(2)];
    const probed = await probe(id, 3 * all.length);
    for (const chatId of all) expect(probed.slice(0, all.length)).toContain(chatId);
    expect(probed.filter((chatId) => chatId === toChatId(1)).length).toBeLessThanOrEqual(3);
    // Whoever is due goes on being due.
    for (const contact of await readContacts(database.pool, id)) expect(contact.is_due).toBe(true);
  });

  test("leaves its contact due as it was, and makes way for another one", async () => {
    const id = await addInstance(database);
    await acceptContacts(database.pool, id, [toChatId(1), toChatId(2)]);
    await ledger.holdInstance(id, hold, askedNow());
    expect((await probe(id, 4, "blocked")).toSorted()).toEqual([1, 1, 2, 2].map(toChatId));
    const unharmed = {
      attempts: 0,
      is_due: true,
      last_error: "blocked",
      in_flight_epoch: null,
      status: "unknown",
    };
    expect(await readContacts(database.pool, id)).toMatchObject([unharmed, unharmed]);
  });

  test("whose lease was handed over leaves its contact due for the next one, also where it was marked beside its row", async () => {
    const id = await addInstance(database);
    await acceptContacts(database.pool, id, [chat]);
    const lease = await ask(ledger, id);
    const [contactId = 0] = lease.contacts.map((contact) => contact.contactId);
    const client = await database.pool.connect();
    await client.query("begin; select from avatars.contacts for no key update");
    await giveBack(ledger, id, lease, [contactId]);
    await client.query("commit");
    client.release();
    const next = await ask(ledger, id);
    expect(next.contacts).toEqual([]);
    // The next lease has not asked for it: that call alone may put it off.
    await ledger.putOff({ contactId, epoch: lease.epoch - 1 }, "not ours");
    expect(await readAllDue(ledger, id)).toEqual([]);
    await ledger.putOff({ contactId, epoch: lease.epoch }, "no answer");
    expect(await readAllDue(ledger, id)).toMatchObject([{ contactId }]);
  });

  test("of a contact that rests by now changes nothing", async () => {
    const id = await addInstance(database);
    await acceptContacts(database.pool, id, [chat]);
    const { epoch, contacts, databaseNowMs } = await ask(ledger, id);
    const [contactId = 0] = contacts.map((contact) => contact.contactId);
    await ledger.saveLookups([toRecord(contactId, epoch, databaseNowMs + 1_000, present("/a.jpg"))]);
    const before = await readContacts(database.pool, id);
    await ledger.putOff({ contactId, epoch }, "no answer");
    expect(await readContacts(database.pool, id)).toEqual(before);
  });
});

test("a wait that the provider asked for ends when a person resumes the instance", async () => {
  const id = await addInstance(database);
  await ledger.throttle(
    id,
    { by: "provider", retryAfterMs: hourMs, before: { taken: 0, refused: 0, isAnswering: false } },
    askedNow(),
  );
  expect(await ledger.takeLease(id, randomUUID())).toEqual({ kind: "throttled" });
  expect(await setPaused(database, id, false)).toBe("throttled");
  expect(await ledger.takeLease(id, randomUUID())).toMatchObject({ kind: "taken" });
  expect(await setPaused(database, id, false)).toBe("active");
});

describe("calls of getStateInstance", () => {
  test("take their turns 1.1 s apart, however many ask", async () => {
    const id = await addInstance(database);
    const waits = await Promise.all(Array.from({ length: 5 }, async () => ledger.reserveStateCall(id)));
    for (const [index, waitMs] of waits.toSorted((a, b) => a - b).entries()) {
      expect(waitMs).toBeLessThanOrEqual(index * 1_100);
      expect(waitMs).toBeGreaterThan((index - 1) * 1_100);
    }
  });

  test("begin anew a second after the answer", async () => {
    const id = await addInstance(database);
    await database.pool.query(
      "update avatars.instances set next_state_call_at = now() - interval '1 day' where id = $1",
      [id],
    );
    await ledger.noteState(id, undefined);
    expect(await ledger.reserveStateCall(id)).toBeGreaterThan(0);
  });

  test("leave what they were told, and a call that told nothing leaves it as it was", async () => {
    const id = await addInstance(database);
    await ledger.noteState(id, "authorized");
    await ledger.noteState(id, undefined);
    const { rows } = await database.pool.query(
      "select state_seen, state_seen_at <= now() as seen from avatars.instances where id = $1",
      [id],
    );
    expect(rows).toEqual([{ state_seen: "authorized", seen: true }]);
  });

  test("are not stopped by a clock that was set back", async () => {
    const id = await addInstance(database);
    await database.pool.query(
      "update avatars.instances set next_state_call_at = now() + interval '1 day' where id = $1",
      [id],
    );
    expect(await ledger.reserveStateCall(id)).toBeLessThanOrEqual(60_000);
  });

  test("of an instance that is gone need not wait", async () => {
    expect(await ledger.reserveStateCall("999" as InstanceId)).toBe(0);
    await ledger.noteState("999" as InstanceId, "authorized");
  });
});

describe("a hold of one kind of chat", () => {
  const kindHold: Hold = { ...hold, reason: "users-timing-out" };
  const [user, group, lid] = [
    "79001000001@c.us",
    "120363043968066561@g.us",
    "12345678901234@lid",
  ] as ChatId[];

  async function addHeld(): Promise<InstanceId> {
    const id = await addInstance(database);
    await acceptContacts(database.pool, id, [user, group, lid] as ChatId[]);
    await ledger.holdInstance(id, kindHold, askedNow());
    return id;
  }

  test("leaves the others to be asked, and one of its own when it has run out", async () => {
    const id = await addHeld();
    const asked = await ask(ledger, id);
    expect(asked.instance).toMatchObject({ probing: false, heldKind: { kind: "user", mayProbe: false } });
    await letHoldRunOut(id);
    await giveBack(ledger, id, asked);
    const again = await ask(ledger, id);
    expect(again.instance).toMatchObject({ probing: false, heldKind: { kind: "user", mayProbe: true } });
  });

  test.each([
    ["user", [user], [group, lid]],
    ["group", [group], [user, lid]],
    ["lid", [lid], [user, group]],
  ] as const)("of %s finds these apart from the others", async (kind, own, others) => {
    const id = await addHeld();
    const read = async (isOf: boolean, but: readonly number[] = []) =>
      ledger.readHeld(id, { kind, isOf }, but, 10);
    expect((await read(true)).map(({ chatId }) => chatId)).toEqual(own);
    expect(new Set((await read(false)).map(({ chatId }) => chatId))).toEqual(new Set(others));
    const ids = (await read(false)).map(({ contactId }) => contactId);
    expect(await read(false, ids)).toEqual([]);
  });

  test("is ended by an answer of its own kind alone", async () => {
    const id = await addHeld();
    expect(await ledger.endHold(id, group as ChatId, askedNow())).toBe("held");
    expect(await ledger.endHold(id, lid as ChatId, askedNow())).toBe("held");
    expect(await ledger.endHold(id, user as ChatId, askedNow())).toBe("ended");
  });

  test("gives way to other trouble at once, and to its own when it has run out", async () => {
    const id = await addHeld();
    expect(await ledger.holdInstance(id, kindHold, askedNow())).toBeUndefined();
    expect(await ledger.holdInstance(id, { ...hold, reason: "timing-out" }, askedNow())).toBeDefined();
    expect(await ledger.endHold(id, group as ChatId, askedNow())).toBe("ended");
  });
});
