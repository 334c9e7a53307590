import { describe, expect, test } from "vitest";
import type { Arrivals, DueRequest } from "../../src/domain/ledger/due-queue.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { createAlarm } from "../../src/worker/lane/alarm.ts";
import { createAskedContacts } from "../../src/worker/lane/asked-contacts.ts";
import { createCallAllowance } from "../../src/worker/lane/call-allowance.ts";
import { createDatabaseClock } from "../../src/worker/lane/clocks.ts";
import { createDueContacts } from "../../src/worker/run/due-contacts.ts";
import { createDueReader } from "../../src/worker/run/due-reader.ts";
import { createLane } from "../../src/worker/lane/lane.ts";
import { createArrivalsLook } from "../../src/worker/run/watch-arrivals.ts";
import { eventually } from "../support/eventually.ts";
import { createFakeRunLedger, toQueued } from "../support/fake-run-ledger.ts";
import { createGate } from "../support/gate.ts";

const instanceId = "1101000001" as InstanceId;
const openLane = () => createLane(instanceId, performance, createDatabaseClock());

describe("an alarm", () => {
  test("ends the wait when it is woken, and the next wait where there is none yet, once", async () => {
    const alarm = createAlarm();
    const waiting = alarm.wait(60_000);
    alarm.wake();
    await waiting;
    alarm.wake();
    alarm.wake();
    await alarm.wait(60_000);
    let hasEnded = false;
    const next = alarm.wait(60_000).then(() => (hasEnded = true));
    await new Promise(setImmediate);
    expect(hasEnded).toBe(false);
    alarm.wake();
    await next;
  });

  test("ends one wait for all that happens in a turn of the event loop", async () => {
    const alarm = createAlarm();
    const waiting = alarm.wait(60_000);
    for (let times = 0; times < 3; times += 1) alarm.wakeSoon();
    await waiting;
    let hasEnded = false;
    const next = alarm.wait(60_000).then(() => (hasEnded = true));
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(hasEnded).toBe(false);
    alarm.wakeSoon();
    await next;
  });

  test("ends the wait by itself", async () => {
    await createAlarm().wait(1);
  });
});

test("a contact that is settled during a look is left out of what that look finds, and of no later one", () => {
  const asked = createAskedContacts();
  asked.add(1, 1);
  expect([asked.has(1), asked.has(2), asked.size]).toEqual([true, false, 1]);
  const [endFirst, endSecond] = [asked.look(), asked.look()];
  asked.settle(1);
  asked.settle(2);
  expect([asked.has(1), asked.has(2), asked.size]).toEqual([true, false, 0]);
  endFirst();
  expect(asked.has(1)).toBe(true);
  endSecond();
  expect(asked.has(1)).toBe(false);
});

const toRequests = (count: number): DueRequest[] =>
  Array.from({ length: count }, () => ({
    instanceId,
    priority: 1,
    isTurned: true,
    after: { by: -1, contactId: 0 },
    limit: 2,
  }));

describe("a reader of queues", () => {
  test("shares statements between looks, and gives each what it has asked for", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 10, maxInFlight: 9 }, 3);
    const sizes: number[] = [];
    const { readDue } = ledger;
    ledger.readDue = (requests) => {
      sizes.push(requests.length);
      return readDue(requests);
    };
    const reader = createDueReader(ledger, performance);
    const looks = Array.from({ length: 101 }, () => reader.read(toRequests(6)));
    for (const found of await Promise.all(looks))
      expect(found.map((contacts) => contacts.length)).toEqual([2, 2, 2, 2, 2, 2]);
    expect(sizes).toEqual([300, 300, 6]);
  });

  test("tells all who share a statement that it has failed, and goes on", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 10, maxInFlight: 9 }, 3);
    ledger.beforeRead = () => {
      ledger.beforeRead = () => undefined;
      throw new Error("Postgres is away");
    };
    const reader = createDueReader(ledger, performance);
    const results = await Promise.allSettled([reader.read(toRequests(1)), reader.read(toRequests(1))]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await reader.read(toRequests(1))).toHaveLength(1);
  });
});

const toArrival = (id: number) => ({ id, instanceId, priority: 1, turn: id });

test("a look at arrivals tells each once, to the lane of its instance, and goes on from its horizon", async () => {
  const lane = openLane();
  const told: unknown[] = [];
  lane.arrive = (arrival) => told.push(arrival) > 0;
  const answers: Arrivals[] = [
    { horizon: "10", arrivals: [] },
    { horizon: "11", arrivals: [toArrival(1), { ...toArrival(2), instanceId: "1101000002" as InstanceId }] },
    { horizon: "12", arrivals: [toArrival(1), toArrival(3)] },
  ];
  const horizons: (string | undefined)[] = [];
  const look = createArrivalsLook({
    ledger: {
      async readArrivals(horizon) {
        horizons.push(horizon);
        return answers.shift() ?? { horizon: "13", arrivals: [] };
      },
    },
    findLane: (id) => (id === instanceId ? lane : undefined),
  });
  for (let looks = 0; looks < 4; looks += 1) await look();
  expect(told).toEqual([toArrival(1), toArrival(3)]);
  expect(horizons).toEqual([undefined, "10", "11", "12"]);
});

function openDue(oldestShare: number, due: number) {
  const ledger = createFakeRunLedger({ requestsPerSecond: 1_000, maxInFlight: 1_000 }, due);
  const lane = openLane();
  const instance = { apiUrl: "", sealedToken: "", requestsPerSecond: 1_000, marginMs: 10, maxInFlight: 9 };
  const contacts = createDueContacts(
    {
      ledger,
      reader: createDueReader(ledger, performance),
      clock: performance,
      database: createDatabaseClock(),
      settings: { oldestShare },
      random: () => 0.5,
    },
    lane,
    {
      epoch: 1,
      instance: {
        ...instance,
        probing: false,
        heldKind: undefined,
        allowedChatIds: undefined,
        interactiveOnly: false,
      },
      refusal: undefined,
      seenAt: 0,
      calls: 0,
      allowance: createCallAllowance(Infinity),
    },
  );
  const read = async () => {
    contacts.readAhead(performance.now());
    await eventually(() => expect(contacts.isReading).toBe(false));
  };
  return { ledger, lane, contacts, read };
}

describe("the due contacts of a run", () => {
  test.each([0, 0.1, 0.25, 1])(
    "give a share of %f exactly to those that are due for longest",
    async (share) => {
      const { ledger, contacts, read } = openDue(share, 0);
      // Urgent ones that have just come, and others that are due for long.
      for (let id = 1; id <= 400; id += 1)
        ledger.due.push(toQueued(id, { priority: 0, dueAtUs: 1_000 + id }));
      for (let id = 401; id <= 800; id += 1)
        ledger.due.push(toQueued(id, { priority: 2, dueAtUs: id - 400 }));
      await read();
      let old = 0;
      for (let taken = 1; taken <= 400; taken += 1) {
        if (contacts.take()?.priority === 2) old += 1;
        expect(Math.abs(old - taken * share)).toBeLessThanOrEqual(1);
      }
    },
  );

  test("are drained when all queues were read from their beginning and nothing has come since", async () => {
    const { lane, contacts, read } = openDue(0, 2);
    await read();
    expect([contacts.size, contacts.isDrained]).toEqual([2, false]);
    for (const id of [1, 2]) {
      expect(contacts.take()?.contactId).toBe(id);
      lane.asked.add(id, 1);
    }
    expect(contacts.isDrained).toBe(false);
    contacts.readAll();
    await eventually(() => expect(contacts.isReading).toBe(false));
    expect(contacts.isDrained).toBe(true);
    lane.arrive();
    expect(contacts.isDrained).toBe(false);
  });

  test("leave out a contact that is settled while a look is under way", async () => {
    const { ledger, lane, contacts, read } = openDue(0, 1);
    const gate = createGate();
    lane.asked.add(1, 1);
    ledger.beforeRead = () => gate.opened;
    const looking = read();
    await eventually(() => expect(ledger.limits).not.toEqual([]));
    lane.settle(1);
    gate.open();
    await looking;
    expect(contacts.size).toBe(0);
  });

  test("pass on what a look has met", async () => {
    const { ledger, contacts, read } = openDue(0, 1);
    ledger.beforeRead = () => {
      throw new Error("Postgres is away");
    };
    contacts.check();
    await read();
    expect(contacts.check).toThrow("Postgres is away");
  });
});
