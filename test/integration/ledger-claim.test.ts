import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { laneGapMs } from "../../src/domain/pace/pacer.ts";
import { findDueInstances } from "../../src/store/work/find-due-instances.ts";
import { setPaused } from "../../src/store/instances/pause-instance.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import {
  acceptContacts,
  addInstance,
  claim,
  paceSettings,
  present,
  readContacts,
  readDatabaseNow,
  release,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";
import { noPast } from "../support/refresh.ts";

let database: TestDatabase;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());

const hold = { reason: "throttled", baseMs: 60_000, maxMs: 60_000, text: "slow down" } as const;

const chatIds = (count: number) => Array.from({ length: count }, (_, index) => toChatId(index));

async function sqlOn(instanceId: InstanceId, assignment: string, where = "true"): Promise<void> {
  await database.pool.query(
    `update avatars.contacts c set ${assignment} where instance_id = $1 and ${where}`,
    [instanceId],
  );
}

const endHoldWait = (instanceId: InstanceId) =>
  database.pool.query(`update avatars.instances set held_until = clock_timestamp() where id = $1`, [
    instanceId,
  ]);

async function claimKind(instanceId: InstanceId): Promise<string> {
  const request = { instanceId, runId: randomUUID(), laneId: randomUUID(), limit: 10 };
  return (await ledger.claimDueContacts(request)).kind;
}

describe("a claim", () => {
  test("takes what is due by priority, retries by their due moment before turns, then in the order of arrival", async () => {
    const row = fc.record({
      priority: fc.nat(2),
      minutesAgo: fc.nat(3),
      turn: fc.option(fc.nat(5), { nil: undefined }),
    });
    const dueRows = fc.array(row, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(dueRows, fc.integer({ min: 1, max: 14 }), async (rows, limit) => {
        const instanceId = await addInstance(database);
        await acceptContacts(database.pool, instanceId, chatIds(rows.length));
        const before = await readContacts(database.pool, instanceId);
        for (const [index, { priority, minutesAgo, turn }] of rows.entries()) {
          await sqlOn(
            instanceId,
            `priority = ${priority}, turn = ${turn ?? null}, due_at = date_trunc('minute', now()) - ${minutesAgo} * interval '1 minute'`,
            `id = ${before[index]?.id}`,
          );
        }
        const { contacts } = await claim(ledger, instanceId, { limit });
        const expected = before
          .flatMap(({ id }, index) => (rows[index] ? [{ id, ...rows[index] }] : []))
          .toSorted(
            (a, b) =>
              a.priority - b.priority ||
              (a.turn ?? -1) - (b.turn ?? -1) ||
              (a.turn === undefined ? b.minutesAgo - a.minutesAgo : 0) ||
              a.id - b.id,
          )
          .slice(0, limit)
          .map(({ id }) => id);
        expect(contacts.map(({ contactId }) => contactId)).toEqual(expected);
      }),
      { numRuns: 25 },
    );
  });

  test("says who the contacts are, what was spent on them, and how the instance is called", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 4, maxInFlight: 3 });
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    await sqlOn(instanceId, "attempts = 2");
    const { contacts, instance } = await claim(ledger, instanceId);
    expect(contacts).toEqual([
      { contactId: expect.any(Number), chatId: toChatId(1), attempts: 2, past: noPast },
    ]);
    expect(instance).toEqual({
      apiUrl: "http://127.0.0.1:9",
      sealedToken: "sealed",
      requestsPerSecond: 4,
      marginMs: 10,
      maxInFlight: 3,
      probing: false,
    });
  });

  test("takes the rate of the settings for an instance that sets none, and derives the calls in flight", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const { instance } = await claim(ledger, instanceId);
    expect(instance).toMatchObject({ requestsPerSecond: 10, maxInFlight: undefined });
  });

  test("leaves alone what rests, what waits for its backoff, and what another run has claimed", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, chatIds(4));
    const [resting, waiting, , due] = await readContacts(database.pool, instanceId);
    await sqlOn(instanceId, "due_at = null, turn = null, wanted_at = null", `id = ${resting?.id}`);
    await sqlOn(instanceId, "due_at = now() + interval '1 minute', turn = null", `id = ${waiting?.id}`);
    const first = await claim(ledger, instanceId, { limit: 1 });
    const second = await claim(ledger, instanceId);
    expect(first.contacts.map(({ chatId }) => chatId)).toEqual([toChatId(2)]);
    expect(second.contacts.map(({ contactId }) => contactId)).toEqual([due?.id]);
    expect(await claimKind(instanceId)).toBe("idle");
  });

  test("takes over a claim that has run out, which the run before no longer holds", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const lost = await claim(ledger, instanceId);
    expect(await claimKind(instanceId)).toBe("idle");
    await sqlOn(instanceId, "claimed_until = clock_timestamp()");
    const next = await claim(ledger, instanceId);
    const [contact] = await readContacts(database.pool, instanceId);
    expect(contact?.claimed_by).toBe(next.runId);
    const fences = [{ contactId: contact?.id ?? 0, runId: lost.runId }];
    await ledger.releaseClaims(fences);
    await ledger.extendClaims(fences);
    expect(await readContacts(database.pool, instanceId)).toEqual([contact]);
  });

  test("lasts as long as its lease, and longer when it is extended", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const claimedFrom = await readDatabaseNow(database.pool);
    const { runId, contacts, databaseNowMs } = await claim(ledger, instanceId);
    const readLease = async () =>
      (await readContacts(database.pool, instanceId))[0]?.claimed_until?.getTime();
    // A row's moments are read back as whole milliseconds.
    expect(await readLease()).toBeGreaterThanOrEqual(Math.floor(claimedFrom + paceSettings.claimLeaseMs));
    expect(await readLease()).toBeLessThanOrEqual(databaseNowMs + paceSettings.claimLeaseMs);
    await sqlOn(instanceId, "claimed_until = clock_timestamp() + interval '1 second'");
    const extendedFrom = await readDatabaseNow(database.pool);
    await ledger.extendClaims(contacts.map(({ contactId }) => ({ contactId, runId })));
    expect(await readLease()).toBeGreaterThanOrEqual(Math.floor(extendedFrom + paceSettings.claimLeaseMs));
  });

  test("that is released is due again at once, with nothing spent", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, chatIds(2));
    const before = await readContacts(database.pool, instanceId);
    const { runId, contacts } = await claim(ledger, instanceId);
    await ledger.releaseClaims(contacts.map(({ contactId }) => ({ contactId, runId })));
    expect(await readContacts(database.pool, instanceId)).toEqual(before);
    await ledger.releaseClaims([]);
    await ledger.extendClaims([]);
  });

  test("of nothing due reserves no slot", async () => {
    const instanceId = await addInstance(database);
    const read = async () =>
      (
        await database.pool.query("select next_call_at, paced_by from avatars.instances where id = $1", [
          instanceId,
        ])
      ).rows;
    const before = await read();
    expect(await claimKind(instanceId)).toBe("idle");
    expect(await read()).toEqual(before);
  });
});

describe("an instance", () => {
  test("that nobody knows is gone", async () => {
    expect(await claimKind("999" as InstanceId)).toBe("gone");
    const request = { instanceId: "999" as InstanceId, laneId: randomUUID(), calls: 1 };
    expect(await ledger.reserveCalls(request)).toBeUndefined();
  });

  test("that is paused or held gives nothing out, and is not swept", async () => {
    const paused = await addInstance(database);
    const held = await addInstance(database);
    for (const id of [paused, held]) await acceptContacts(database.pool, id, [toChatId(1)]);
    expect(await findDueInstances(database.pool)).toEqual(expect.arrayContaining([paused, held]));
    await setPaused(database, paused, true);
    await ledger.holdInstance(held, hold, Date.now());
    expect([await claimKind(paused), await claimKind(held)]).toEqual(["paused", "held"]);
    for (const instanceId of [paused, held]) {
      const request = { instanceId, laneId: randomUUID(), calls: 1 };
      expect(await ledger.reserveCalls(request)).toBeUndefined();
    }
    const due = await findDueInstances(database.pool);
    expect(due).not.toContain(paused);
    expect(due).not.toContain(held);
    await setPaused(database, paused, false);
    expect(await claimKind(paused)).toBe("claimed");
  });

  test("whose hold has run out is probed with one contact at a time until it is well again", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, chatIds(3));
    for (const priority of [0, 2]) {
      await acceptContacts(database.pool, instanceId, [toChatId(10 + priority)], { priority });
    }
    await ledger.holdInstance(instanceId, hold, Date.now());
    await endHoldWait(instanceId);
    expect(await findDueInstances(database.pool)).toContain(instanceId);
    const probe = await claim(ledger, instanceId, { limit: 5 });
    expect(probe.instance.probing).toBe(true);
    expect(probe.contacts).toHaveLength(1);
    const reserve = { instanceId, laneId: randomUUID(), calls: 1 };
    expect(await ledger.reserveCalls(reserve)).toBeDefined();
    await ledger.endHold(instanceId, toChatId(0), Date.now() + 1_000);
    const next = await claim(ledger, instanceId, { limit: 5 });
    expect(next.instance.probing).toBe(false);
    expect(next.contacts).toHaveLength(4);
  });

  test("is swept only while something is due that nobody has claimed", async () => {
    const instanceId = await addInstance(database);
    const isSwept = async () => (await findDueInstances(database.pool)).includes(instanceId);
    expect(await isSwept()).toBe(false);
    await acceptContacts(database.pool, instanceId, [toChatId(1)], { priority: 2 });
    expect(await isSwept()).toBe(true);
    const { runId, contacts } = await claim(ledger, instanceId);
    expect(await isSwept()).toBe(false);
    await sqlOn(instanceId, "claimed_until = now()");
    expect(await isSwept()).toBe(true);
    const asked = await readDatabaseNow(database.pool);
    await ledger.saveLookups([toRecord(contacts[0]?.contactId ?? 0, runId, asked, present("/a.jpg"))]);
    expect(await isSwept()).toBe(false);
  });
});

describe("slots", () => {
  // With the margin as it is at first: it shrinks a little with each reservation.
  const spacingMs = 1010 / 10;

  test("of one lane follow each other without a gap, and those of another keep it", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, chatIds(40));
    const [own, other] = [randomUUID(), randomUUID()];
    const first = await claim(ledger, instanceId, { limit: 10, laneId: own });
    const second = await claim(ledger, instanceId, { limit: 5, laneId: own });
    const third = await claim(ledger, instanceId, { limit: 5, laneId: other });
    const request = { instanceId, calls: 3 };
    const fourth = await ledger.reserveCalls({ ...request, laneId: other });
    const fifth = await ledger.reserveCalls({ ...request, laneId: own });
    expect(first.slotsUntilMs - first.slotsFromMs).toBeCloseTo(9 * spacingMs, 0);
    expect(second.slotsFromMs - first.slotsUntilMs).toBeCloseTo(spacingMs, 0);
    expect(third.slotsFromMs - second.slotsUntilMs).toBeCloseTo(spacingMs + laneGapMs, 0);
    expect((fourth?.slotsFromMs ?? 0) - third.slotsUntilMs).toBeCloseTo(spacingMs, 0);
    expect((fourth?.slotsUntilMs ?? 0) - (fourth?.slotsFromMs ?? 0)).toBeCloseTo(2 * spacingMs, 0);
    expect((fifth?.slotsFromMs ?? 0) - (fourth?.slotsUntilMs ?? 0)).toBeCloseTo(spacingMs + laneGapMs, 0);
  });

  test("begin now where none are reserved", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, chatIds(2));
    await database.pool.query(
      "update avatars.instances set next_call_at = now() - interval '1 hour' where id = $1",
      [instanceId],
    );
    const nowMs = await readDatabaseNow(database.pool);
    const prompt = await claim(ledger, instanceId, { limit: 1 });
    expect(prompt.slotsFromMs).toBeGreaterThanOrEqual(nowMs);
    expect(prompt.slotsFromMs).toBeLessThanOrEqual(prompt.databaseNowMs);
  });

  test("keep a gap to another lane's even when all of these have gone by", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    await acceptContacts(database.pool, instanceId, chatIds(2));
    const first = await claim(ledger, instanceId, { limit: 1 });
    const second = await claim(ledger, instanceId, { limit: 1 });
    expect(second.slotsFromMs - first.slotsUntilMs).toBeGreaterThanOrEqual(laneGapMs);
  });

  test.each([
    [2.5, 505],
    [1.5, 1010],
    [0.5, 2020],
    [3, 1010 / 3],
  ])("at %f a second lie %f ms apart, reserved with a claim or anew", async (rate, expected) => {
    const instanceId = await addInstance(database, { requestsPerSecond: rate });
    await acceptContacts(database.pool, instanceId, chatIds(2));
    const claimed = await claim(ledger, instanceId);
    const reserved = await ledger.reserveCalls({
      instanceId,
      laneId: randomUUID(),
      calls: 2,
    });
    expect(claimed.slotsUntilMs - claimed.slotsFromMs).toBeCloseTo(expected, 0);
    expect((reserved?.slotsUntilMs ?? 0) - (reserved?.slotsFromMs ?? 0)).toBeCloseTo(expected, 0);
  });

  test("and contacts are given to one of many runs at once, never to two", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 100 });
    const total = 120;
    await acceptContacts(database.pool, instanceId, chatIds(total));
    const lanes = Array.from({ length: 6 }, () => randomUUID() as string);
    const claims = await Promise.all(
      [...lanes, ...lanes].map(async (laneId) => ({
        laneId,
        ...(await claim(ledger, instanceId, { laneId, limit: 10 })),
      })),
    );
    const ids = claims.flatMap(({ contacts }) => contacts.map(({ contactId }) => contactId));
    expect(ids).toHaveLength(total);
    expect(new Set(ids).size).toBe(total);
    claims.sort((a, b) => a.slotsFromMs - b.slotsFromMs);
    for (const [index, next] of claims.entries()) {
      const last = claims[index - 1];
      if (last === undefined) continue;
      const gapMs = next.slotsFromMs - last.slotsUntilMs;
      const leastMs = 10.1 + (last.laneId === next.laneId ? 0 : laneGapMs);
      expect(gapMs).toBeGreaterThan(leastMs - 0.1);
    }
  });

  test("are counted once when claims and reservations meet", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 100 });
    await acceptContacts(database.pool, instanceId, chatIds(40));
    const regions = await Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        const laneId = randomUUID() as string;
        return index % 2
          ? claim(ledger, instanceId, { laneId, limit: 5 })
          : ledger.reserveCalls({ instanceId, laneId, calls: 5 });
      }),
    );
    const sorted = regions.map((region) => region ?? { slotsFromMs: 0, slotsUntilMs: Infinity });
    sorted.sort((a, b) => a.slotsFromMs - b.slotsFromMs);
    for (const [index, { slotsFromMs }] of sorted.entries()) {
      const last = sorted[index - 1];
      if (last) expect(slotsFromMs - last.slotsUntilMs).toBeGreaterThan(laneGapMs);
    }
  });

  test("a contact that is put back by one run while another claims is not lost", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const { runId, contacts } = await claim(ledger, instanceId);
    const asked = await readDatabaseNow(database.pool);
    await Promise.all([
      ledger.saveLookups([toRecord(contacts[0]?.contactId ?? 0, runId, asked, release)]),
      claimKind(instanceId),
    ]);
    const [contact] = await readContacts(database.pool, instanceId);
    expect(contact?.due_at).not.toBeNull();
  });
});
