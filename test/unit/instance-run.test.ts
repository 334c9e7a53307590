import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LookupRecord } from "../../src/domain/ledger/lookup-record.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { sleep } from "../../src/lib/deadline.ts";
import { createLeases } from "../../src/worker/lease/leases.ts";
import type { Call } from "../../src/worker/run/call.ts";
import { runInstance } from "../../src/worker/run/instance-run.ts";
import { createDatabaseClock } from "../../src/worker/lane/clocks.ts";
import { createDueReader } from "../../src/worker/run/due-reader.ts";
import { createLane, type Lane } from "../../src/worker/lane/lane.ts";
import { eventually } from "../support/eventually.ts";
import { createFakeRunLedger, toQueued, type FakeRunLedger } from "../support/fake-run-ledger.ts";
import { createGate } from "../support/gate.ts";

const instanceId = "1101000001" as InstanceId;
const fast = { requestsPerSecond: 2_000, maxInFlight: 1_000 };
const longSlice = 600_000;

/** Rejections that nobody awaited would end the process. */
const unhandled: unknown[] = [];
const noteUnhandled = (error: unknown) => unhandled.push(error);
beforeEach(() => process.on("unhandledRejection", noteUnhandled));
afterEach(async () => {
  await new Promise(setImmediate);
  process.off("unhandledRejection", noteUnhandled);
  expect(unhandled.splice(0)).toEqual([]);
});

const onError = (_where: string, error: unknown) => noteUnhandled(error);

interface Runs {
  readonly lane: Lane;
  readonly sent: Call[];
  readonly stopping: AbortController;
  run(sliceMs?: number): ReturnType<typeof runInstance>;
  /** Answers the oldest calls in flight, and saves what they say. */
  answer(count?: number): void;
  /** Renews the lease, as a task of the process does every second. */
  renew(): Promise<void>;
  /** Does another instance wait for its turn? Asked at the end of each slice. */
  othersWait: () => boolean;
  /** Do too many records wait to be saved? */
  isBehind: () => boolean;
}

/** @param onCall told of each call that is sent; by default a call stays in flight until `answer` */
function openRuns(ledger: FakeRunLedger, onCall: (runs: Runs) => void = () => undefined): Runs {
  const clock = performance;
  const database = createDatabaseClock();
  const lane = createLane(instanceId, clock, database);
  const leases = createLeases({
    ledger,
    owner: "me",
    clock,
    database,
    onError,
    betweenSaves: async (_id, work) => work(),
  });
  const reader = createDueReader(ledger, clock);
  const stopping = new AbortController();
  const sent: Call[] = [];
  const inFlight: { readonly end: () => void; readonly resolve: () => void; readonly contactId: number }[] =
    [];
  const runs: Runs = {
    lane,
    sent,
    stopping,
    renew: leases.renew,
    answer(count = 1) {
      for (const call of inFlight.splice(0, count)) {
        const { contactId } = call;
        void ledger.saveLookups([{ contactId } as LookupRecord]);
        call.end();
        lane.settle(contactId);
        call.resolve();
      }
    },
    othersWait: () => true,
    isBehind: () => false,
    async run(sliceMs = longSlice) {
      const renewing = setInterval(() => void leases.renew(), 1_000);
      const ended = runInstance(
        {
          ledger,
          leases,
          reader,
          clock,
          database,
          settings: { sliceMs, maxInFlight: undefined, oldestShare: 0 },
          othersWait: async () => runs.othersWait(),
          isBehind: () => runs.isBehind(),
          random: () => 0,
          call(call) {
            expect(call.slot.mayLeave()).toBe(true);
            const { contactId } = call.contact;
            const answered = new Promise<void>((resolve) => {
              lane.calls.begin(clock.now());
              inFlight.push({ end: lane.calls.end, resolve, contactId });
            });
            sent.push(call);
            onCall(runs);
            return answered;
          },
        },
        lane,
        stopping.signal,
      );
      return ended.finally(() => clearInterval(renewing));
    },
  };
  return runs;
}

const idsOf = (sent: readonly Call[]) => sent.map(({ contact }) => contact.contactId);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

const inFlightOf = (ledger: FakeRunLedger) => ledger.handedOver.map(({ inFlight }) => inFlight);

describe("an instance run", () => {
  test("sends each contact that is due once, in order, and ends when nothing is due", async () => {
    const ledger = createFakeRunLedger(fast, 1_500);
    const { run, sent } = openRuns(ledger, ({ answer }) => answer());
    expect(await run()).toBe("idle");
    expect(idsOf(sent)).toEqual(upTo(1_500));
    expect(new Set(sent.map(({ epoch }) => epoch)).size).toBe(1);
    expect(inFlightOf(ledger)).toEqual([[]]);
  });

  test.each(["held", "paused", "gone", "busy", "throttled"] as const)(
    "ends as %s where the lease is not to be had",
    async (kind) => {
      const ledger = createFakeRunLedger(fast, 10);
      ledger.refuse = kind;
      const { run, sent } = openRuns(ledger);
      expect(await run()).toBe(kind);
      expect(sent).toEqual([]);
      expect(ledger.limits).toEqual([]);
    },
  );

  test("reads little more than a second of calls at a time, and never more than 1000", async () => {
    const slow = createFakeRunLedger({ requestsPerSecond: 20, maxInFlight: 100 }, 26);
    await openRuns(slow, ({ answer }) => answer()).run();
    expect(slow.limits[0]).toBe(24);
    const quick = createFakeRunLedger({ requestsPerSecond: 5_000, maxInFlight: 9_000 }, 1_600);
    await openRuns(quick, ({ answer }) => answer()).run();
    expect(new Set(quick.limits)).toEqual(new Set([1_000]));
  });

  test("leaves what it has read and not sent as it is when it is told to stop, and marks what is in flight", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 20, maxInFlight: 100 }, 50);
    const runs = openRuns(ledger, ({ sent, stopping }) => {
      if (sent.length === 4) stopping.abort();
    });
    expect(await runs.run()).toBe("stopped");
    expect(idsOf(runs.sent)).toEqual([1, 2, 3, 4]);
    expect(inFlightOf(ledger)).toEqual([[1, 2, 3, 4]]);
    expect(ledger.handedOver[0]).toMatchObject({ turns: [0, 4, 0], calls: 4 });
    expect(ledger.handedOver[0]?.recentAgesMs).toHaveLength(4);
    expect(runs.lane.calls.inFlight).toBe(4);
  });

  test("that is told to stop before it begins sends nothing, and gives its lease back", async () => {
    const ledger = createFakeRunLedger(fast, 50);
    const { run, sent, stopping } = openRuns(ledger);
    stopping.abort();
    expect(await run()).toBe("stopped");
    expect(sent).toEqual([]);
    expect(ledger.handedOver).toHaveLength(1);
  });

  test("sends nothing of what a look brings that was under way when it was told to stop", async () => {
    const ledger = createFakeRunLedger(fast, 50);
    const gate = createGate();
    ledger.beforeRead = () => gate.opened;
    const { run, stopping, sent } = openRuns(ledger);
    const ended = run();
    await eventually(() => expect(ledger.limits).toHaveLength(1));
    stopping.abort();
    expect(await ended).toBe("stopped");
    gate.open();
    await sleep(5);
    expect(sent).toEqual([]);
  });

  test("sends nothing more once an answer says that the instance is in trouble", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 100, maxInFlight: 100 }, 500);
    const runs = openRuns(ledger, ({ sent, lane }) => {
      if (sent.length === 7) lane.stopRuns();
    });
    expect(await runs.run()).toBe("held");
    expect(runs.sent).toHaveLength(7);
  });

  test("ends where its lease belongs to it no more, and sends nothing more", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 200, maxInFlight: 100 }, 100);
    const runs = openRuns(ledger, ({ sent, renew }) => {
      if (sent.length !== 5) return;
      ledger.refuse = "busy";
      void renew();
    });
    expect(await runs.run()).toBe("lost");
    expect(runs.sent.length).toBeLessThan(10);
  });

  test("goes on where its process was blocked for a while, and asks for all the same", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 200, maxInFlight: 500 }, 100);
    const runs = openRuns(ledger, ({ sent, answer }) => {
      answer();
      if (sent.length !== 2) return;
      const until = performance.now() + 700;
      while (performance.now() < until);
    });
    expect(await runs.run()).toBe("idle");
    expect(idsOf(runs.sent)).toEqual(upTo(100));
  });

  test("hands over after its slice, with its calls still in flight, which it marks", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 100, maxInFlight: 1_000 }, 1_000);
    const runs = openRuns(ledger);
    expect(await runs.run(150)).toBe("sliced");
    expect(runs.sent.length).toBeGreaterThan(0);
    expect(runs.lane.calls.inFlight).toBe(runs.sent.length);
    expect(inFlightOf(ledger)).toEqual([idsOf(runs.sent)]);
  });

  test("goes on after its slice where no instance waits, and hands over when one does", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 100, maxInFlight: 1_000 }, 1_000);
    const runs = openRuns(ledger, ({ answer }) => answer());
    let asked = 0;
    runs.othersWait = () => (asked += 1) === 2;
    expect(await runs.run(700)).toBe("sliced");
    expect(asked).toBe(2);
  });

  test("hands over after ten slices although none waits, for the process that has less to do", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 100, maxInFlight: 1_000 }, 1_000);
    const runs = openRuns(ledger, ({ answer }) => answer());
    runs.othersWait = () => false;
    expect(await runs.run(20)).toBe("sliced");
  });

  test("sends nothing while calls are paused, and goes on when they are resumed", async () => {
    const ledger = createFakeRunLedger(fast, 60);
    const runs = openRuns(ledger, ({ sent, lane, answer }) => {
      if (sent.length === 5) lane.pauseCalls();
      answer();
    });
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(5));
    await sleep(20);
    expect(runs.sent).toHaveLength(5);
    runs.lane.resumeCalls();
    expect(await ended).toBe("idle");
    expect(idsOf(runs.sent)).toEqual(upTo(60));
  });

  test.each([0.5, 1])("at %f a second ends with the renewal that finds it paused", async (rate) => {
    const ledger = createFakeRunLedger({ requestsPerSecond: rate, maxInFlight: 10 }, 10);
    const runs = openRuns(ledger, ({ answer }) => answer());
    const ended = runs.run();
    // The second one waits for its slot.
    await eventually(() => expect(runs.sent).toHaveLength(1));
    ledger.refuse = "paused";
    await runs.renew();
    expect(await ended).toBe("paused");
    expect(runs.sent).toHaveLength(1);
  });

  test("that is full meets a higher limit with the next renewal, without waiting for a call to end", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2_000, maxInFlight: 3 }, 8);
    const runs = openRuns(ledger);
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(3));
    ledger.instance = { requestsPerSecond: 2_000, maxInFlight: 100 };
    await runs.renew();
    await eventually(() => expect(runs.lane.calls.inFlight).toBe(8));
    runs.answer(8);
    expect(await ended).toBe("idle");
  });

  test("that waits for its slot is not woken by the end of a call, and one that is full is", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2, maxInFlight: 3 }, 5);
    const runs = openRuns(ledger);
    const { alarm } = runs.lane;
    let woken = 0;
    runs.lane.alarm.wakeSoon = () => {
      woken += 1;
      alarm.wake();
    };
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(2));
    runs.answer();
    expect(woken).toBe(0);
    await eventually(() => expect(runs.sent).toHaveLength(4));
    await eventually(() => expect(runs.lane.awaitsCalls).toBe(true));
    runs.answer();
    expect(woken).toBe(1);
    await eventually(() => expect(runs.sent).toHaveLength(5));
    runs.answer(4);
    expect(await ended).toBe("idle");
  });

  test("that is full ends when its instance is paused", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2_000, maxInFlight: 3 }, 8);
    const runs = openRuns(ledger);
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(3));
    ledger.refuse = "paused";
    await runs.renew();
    expect(await ended).toBe("paused");
  });

  test("hands over after its slice although all that it may have in flight is never answered", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2_000, maxInFlight: 3 }, 50);
    const runs = openRuns(ledger);
    expect(await runs.run(1_000)).toBe("sliced");
    expect(runs.lane.calls.inFlight).toBe(3);
  });

  test("makes way for another instance where it only waits for answers", async () => {
    const ledger = createFakeRunLedger(fast, 2);
    const runs = openRuns(ledger);
    expect(await runs.run()).toBe("idle");
    expect(inFlightOf(ledger)).toEqual([[1, 2]]);
  });

  test("sends nothing while too many records wait to be saved, and goes on when they are", async () => {
    const ledger = createFakeRunLedger(fast, 60);
    let isBehind = false;
    const runs = openRuns(ledger, ({ sent, answer }) => {
      isBehind = sent.length === 5;
      answer();
    });
    runs.isBehind = () => isBehind;
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(5));
    await sleep(50);
    expect(runs.sent).toHaveLength(5);
    isBehind = false;
    expect(await ended).toBe("idle");
    expect(idsOf(runs.sent)).toEqual(upTo(60));
  });

  test("that cannot keep up with its slots reads answers before it sends more", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 1_000_000, maxInFlight: 1_000 }, 900);
    let most = 0;
    const runs = openRuns(ledger, ({ lane, answer }) => {
      most = Math.max(most, lane.calls.inFlight);
      setImmediate(() => answer());
    });
    expect(await runs.run()).toBe("idle");
    expect(idsOf(runs.sent)).toEqual(upTo(900));
    expect(most).toBeLessThan(50);
  });

  test("never has more calls in flight than the instance allows, one run after the other, and asks none twice", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2_000, maxInFlight: 3 }, 40);
    let most = 0;
    const runs = openRuns(ledger, ({ lane }) => {
      most = Math.max(most, lane.calls.inFlight);
    });
    for (let slices = 0; slices < 4; slices += 1) await runs.run(30);
    expect(runs.lane.calls.inFlight).toBe(3);
    const rest = runs.run();
    while (runs.sent.length < 40 || runs.lane.calls.inFlight > 0) {
      if (runs.lane.calls.inFlight > 0) runs.answer();
      await new Promise(setImmediate);
    }
    expect(await rest).toBe("idle");
    expect(most).toBe(3);
    expect(idsOf(runs.sent).toSorted((a, b) => a - b)).toEqual(upTo(40));
  });

  test("asks for what arrives while it waits for answers", async () => {
    const ledger = createFakeRunLedger(fast, 1);
    const runs = openRuns(ledger);
    runs.othersWait = () => false;
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(1));
    ledger.due.push(toQueued(2));
    expect(runs.lane.arrive({ priority: 1, turn: 2 })).toBe(true);
    await eventually(() => expect(idsOf(runs.sent)).toEqual([1, 2]));
    runs.answer(2);
    expect(await ended).toBe("idle");
  });

  test("asks only for the chats that a held instance allows, and ends as held", async () => {
    const allowedChatIds = [toQueued(3).chatId, toQueued(5).chatId];
    const ledger = createFakeRunLedger({ ...fast, allowedChatIds }, 9);
    const { run, sent } = openRuns(ledger, ({ answer }) => answer());
    expect(await run()).toBe("held");
    expect(idsOf(sent)).toEqual([3, 5]);
  });

  test("ends when it is told to stop while it waits for a call to end", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2_000, maxInFlight: 1 }, 5);
    const runs = openRuns(ledger);
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(1));
    runs.stopping.abort();
    expect(await ended).toBe("stopped");
  });

  test("passes on that the ledger is away, gives its lease back, and leaves no rejection behind", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 500, maxInFlight: 1_000 }, 5_000);
    ledger.beforeRead = () => {
      // The look that is made ahead, while calls wait for their slots.
      if (ledger.limits.length >= 2) throw new Error("Postgres is away");
    };
    const { run } = openRuns(ledger);
    await expect(run()).rejects.toThrow("Postgres is away");
    expect(ledger.handedOver).toHaveLength(1);
  });
});

describe("a run that probes", () => {
  const probing = { ...fast, probing: true };

  test("sends one call and waits for its answer before the next", async () => {
    const ledger = createFakeRunLedger(probing, 3);
    const runs = openRuns(ledger);
    const ended = runs.run();
    for (const calls of [1, 2, 3]) {
      await eventually(() => expect(runs.sent).toHaveLength(calls));
      await sleep(5);
      expect(runs.sent).toHaveLength(calls);
      runs.answer();
    }
    expect(await ended).toBe("idle");
    // What has become of each is looked up before the next.
    expect(ledger.looks).toBeGreaterThanOrEqual(2);
  });

  test("stops after the probe that shows that the trouble goes on", async () => {
    const ledger = createFakeRunLedger(probing, 10);
    const runs = openRuns(ledger);
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(1));
    runs.lane.stopRuns();
    runs.answer();
    expect(await ended).toBe("held");
    expect(runs.sent).toHaveLength(1);
  });

  test("does not wait for calls from before the hold", async () => {
    const ledger = createFakeRunLedger(probing, 2);
    const runs = openRuns(ledger);
    runs.lane.calls.begin(performance.now());
    const ended = runs.run();
    for (const calls of [1, 2]) {
      await eventually(() => expect(runs.sent).toHaveLength(calls));
      runs.answer();
    }
    expect(await ended).toBe("idle");
    expect(runs.lane.calls.inFlight).toBe(1);
  });

  test("ends at once when it is told to stop while its probe is in flight", async () => {
    const ledger = createFakeRunLedger(probing, 10);
    const runs = openRuns(ledger);
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(1));
    runs.stopping.abort();
    expect(await ended).toBe("stopped");
    expect(runs.lane.calls.inFlight).toBe(1);
  });
});
