import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { sleep } from "../../src/lib/deadline.ts";
import type { Call } from "../../src/worker/run/call.ts";
import { runInstance } from "../../src/worker/run/instance-run.ts";
import { createLane, type Lane } from "../../src/worker/run/lane.ts";
import { eventually } from "../support/eventually.ts";
import { createFakeRunLedger, type FakeRunLedger } from "../support/fake-run-ledger.ts";
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

interface Runs {
  readonly lane: Lane;
  readonly sent: Call[];
  readonly stopping: AbortController;
  run(sliceMs?: number): ReturnType<typeof runInstance>;
  /** Answers the oldest calls in flight. */
  answer(count?: number): void;
  /** Does another instance wait for its turn? Asked at the end of each slice. */
  othersWait: () => boolean;
}

/** @param onCall told of each call that is sent; by default a call stays in flight until `answer` */
function openRuns(ledger: FakeRunLedger, onCall: (runs: Runs) => void = () => undefined): Runs {
  const lane = createLane(instanceId, performance);
  const stopping = new AbortController();
  const sent: Call[] = [];
  const inFlight: { readonly end: () => void; readonly resolve: () => void }[] = [];
  const runs: Runs = {
    lane,
    sent,
    stopping,
    answer(count = 1) {
      for (let answered = 0; answered < count; answered += 1) {
        const call = inFlight.shift();
        call?.end();
        call?.resolve();
      }
    },
    othersWait: () => true,
    run: (sliceMs = longSlice) =>
      runInstance(
        {
          ledger,
          clock: performance,
          settings: { sliceMs, maxInFlight: undefined },
          othersWait: async () => runs.othersWait(),
          random: () => 0,
          call(call) {
            const answered = new Promise<void>((resolve) => {
              inFlight.push({ end: lane.calls.start(), resolve });
            });
            sent.push(call);
            onCall(runs);
            return answered;
          },
        },
        lane,
        stopping.signal,
      ),
  };
  return runs;
}

const idsOf = (sent: readonly Call[]) => sent.map(({ contact }) => contact.contactId);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe("an instance run", () => {
  test("sends each contact that is due once, in order, and ends when nothing is due", async () => {
    const ledger = createFakeRunLedger(fast, 1_500);
    const { run, sent } = openRuns(ledger, ({ answer }) => answer());
    expect(await run()).toBe("idle");
    expect(idsOf(sent)).toEqual(upTo(1_500));
    expect(ledger.released).toEqual([]);
    expect(new Set(ledger.claims.map(({ runId }) => runId)).size).toBe(1);
  });

  test.each(["idle", "held", "paused", "gone"] as const)(
    "ends as %s where nothing may be claimed",
    async (kind) => {
      const ledger = createFakeRunLedger(fast, 10);
      ledger.refuse = kind;
      const { run, sent } = openRuns(ledger);
      expect(await run()).toBe(kind);
      expect(sent).toEqual([]);
    },
  );

  test("claims little more than half a second of calls at a time, never more than 500, and no more than there is room for", async () => {
    const slow = createFakeRunLedger({ requestsPerSecond: 20, maxInFlight: 100 }, 26);
    await openRuns(slow, ({ answer }) => answer()).run();
    expect(new Set(slow.claims.map(({ windowMs }) => windowMs))).toEqual(new Set([600]));
    expect(slow.claims).toHaveLength(5);
    const quick = createFakeRunLedger({ requestsPerSecond: 5_000, maxInFlight: 9_000 }, 600);
    await openRuns(quick, ({ answer }) => answer()).run();
    expect(Math.max(...quick.claims.map(({ limit }) => limit))).toBe(500);
    const narrow = createFakeRunLedger({ requestsPerSecond: 5_000, maxInFlight: 7 }, 60);
    await openRuns(narrow, ({ answer }) => answer()).run();
    expect(Math.max(...narrow.claims.slice(1).map(({ limit }) => limit))).toBeLessThanOrEqual(7);
  });

  test("gives back what it has claimed and not sent when it is told to stop", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 20, maxInFlight: 100 }, 50);
    const runs = openRuns(ledger, ({ sent, stopping }) => {
      if (sent.length === 4) stopping.abort();
    });
    expect(await runs.run()).toBe("stopped");
    const claimed = 50 - ledger.due;
    expect(idsOf(runs.sent)).toEqual([1, 2, 3, 4]);
    expect(ledger.released).toEqual(
      upTo(claimed)
        .slice(4)
        .map((contactId) => ({ contactId, runId: ledger.claims[0]?.runId })),
    );
    expect(runs.lane.calls.inFlight).toBe(4);
  });

  test("that is told to stop before it begins claims nothing", async () => {
    const ledger = createFakeRunLedger(fast, 50);
    const { run, stopping } = openRuns(ledger);
    stopping.abort();
    expect(await run()).toBe("stopped");
    expect(ledger.claims).toEqual([]);
  });

  test("gives back also what a claim brings that was under way when it was told to stop", async () => {
    const ledger = createFakeRunLedger(fast, 50);
    const gate = createGate();
    ledger.beforeClaim = () => gate.opened;
    const { run, stopping, sent } = openRuns(ledger);
    const ended = run();
    await eventually(() => expect(ledger.claims).toHaveLength(1));
    stopping.abort();
    gate.open();
    expect(await ended).toBe("stopped");
    expect(sent).toEqual([]);
    expect(ledger.released).toHaveLength(50 - ledger.due);
  });

  test("sends nothing more once an answer says that the instance is in trouble", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 100, maxInFlight: 100 }, 500);
    const runs = openRuns(ledger, ({ sent, lane }) => {
      if (sent.length === 7) lane.stopRuns();
    });
    expect(await runs.run()).toBe("held");
    expect(runs.sent).toHaveLength(7);
    expect(ledger.released).toHaveLength(500 - ledger.due - 7);
  });

  test("ends as held, and gives back the rest, where slots have gone by and no new ones are to be had", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 200, maxInFlight: 100 }, 100);
    ledger.reserve = () => undefined;
    const blockMs = 400;
    const runs = openRuns(ledger, ({ sent }) => {
      if (sent.length !== 2) return;
      // A blocked event loop: the reserved slots go by.
      const until = performance.now() + blockMs;
      while (performance.now() < until);
    });
    expect(await runs.run()).toBe("held");
    expect(ledger.released).toHaveLength(100 - ledger.due - runs.sent.length);
  });

  test("reserves slots anew for the contacts whose slots went by, and sends them all the same", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 200, maxInFlight: 500 }, 100);
    const reserved: number[] = [];
    const { reserve } = ledger;
    ledger.reserve = (calls) => {
      reserved.push(calls);
      return reserve(calls);
    };
    const runs = openRuns(ledger, ({ sent }) => {
      if (sent.length !== 2) return;
      const until = performance.now() + 700;
      while (performance.now() < until);
    });
    expect(await runs.run()).toBe("idle");
    expect(idsOf(runs.sent)).toEqual(upTo(100));
    expect(reserved.length).toBeGreaterThan(0);
  });

  test("hands over after its slice, with its calls still in flight, and has given back what it did not send", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 100, maxInFlight: 1_000 }, 100_000);
    const runs = openRuns(ledger);
    expect(await runs.run(150)).toBe("sliced");
    expect(runs.sent.length).toBeGreaterThan(0);
    expect(runs.lane.calls.inFlight).toBe(runs.sent.length);
    expect(runs.sent.length + ledger.released.length).toBe(100_000 - ledger.due);
  });

  test("goes on after its slice where nobody waits, and hands over when somebody does", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 100, maxInFlight: 1_000 }, 100_000);
    const runs = openRuns(ledger, ({ answer }) => answer());
    let asked = 0;
    runs.othersWait = () => (asked += 1) === 2;
    expect(await runs.run(700)).toBe("sliced");
    expect(asked).toBe(2);
  });

  test("hands over after ten slices although nobody waits, for the process that has less to do", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 100, maxInFlight: 1_000 }, 100_000);
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

  test.each([0.5, 1])(
    "at %f a second ends within moments when it is paused, and sends nothing more",
    async (rate) => {
      const ledger = createFakeRunLedger({ requestsPerSecond: rate, maxInFlight: 10 }, 10);
      const runs = openRuns(ledger, ({ answer }) => answer());
      const ended = runs.run();
      // The second one waits for its slot.
      await eventually(() => expect(ledger.due).toBe(8));
      ledger.refuse = "paused";
      expect(await ended).toBe("paused");
      expect(runs.sent.length).toBeLessThanOrEqual(rate < 1 ? 1 : 2);
      expect(ledger.released).toHaveLength(2 - runs.sent.length);
    },
  );

  test("keeps what it has claimed and not sent among the claims that are extended", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 20, maxInFlight: 100 }, 50);
    const runs = openRuns(ledger);
    const ended = runs.run();
    await eventually(() => expect(runs.sent.length).toBeGreaterThan(2));
    expect(runs.lane.unsent.size).toBe(50 - ledger.due - runs.sent.length);
    runs.stopping.abort();
    await ended;
    expect(runs.lane.unsent.size).toBe(0);
  });

  test("that is full meets a higher limit without waiting for a call to end", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2_000, maxInFlight: 3 }, 8);
    const runs = openRuns(ledger);
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(3));
    ledger.instance = { requestsPerSecond: 2_000, maxInFlight: 100 };
    expect(await ended).toBe("idle");
    expect(runs.lane.calls.inFlight).toBe(8);
  });

  test("that is full ends when its instance is paused", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2_000, maxInFlight: 3 }, 8);
    const runs = openRuns(ledger);
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(3));
    ledger.refuse = "paused";
    expect(await ended).toBe("paused");
  });

  test("hands over after its slice although all that it may have in flight is never answered", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2_000, maxInFlight: 3 }, 50);
    const runs = openRuns(ledger);
    expect(await runs.run(1_000)).toBe("sliced");
    expect(runs.lane.calls.inFlight).toBe(3);
  });

  test("never has more calls in flight than the instance allows, one run after the other", async () => {
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

  test("ends when it is told to stop while it waits for a call to end", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2_000, maxInFlight: 1 }, 5);
    const runs = openRuns(ledger);
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(1));
    runs.stopping.abort();
    expect(await ended).toBe("stopped");
  });

  test("passes on that the ledger is away, and leaves no rejection behind", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 50, maxInFlight: 1_000 }, 1_000);
    ledger.beforeClaim = () => {
      // The claim that is made ahead, while the calls of the last one wait for their slots.
      if (ledger.claims.length >= 3) throw new Error("Postgres is away");
    };
    const { run } = openRuns(ledger);
    await expect(run()).rejects.toThrow("Postgres is away");
    expect(ledger.claims.length).toBeGreaterThanOrEqual(3);
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
      await sleep(0);
      expect(ledger.claims).toHaveLength(calls);
      runs.answer();
    }
    expect(await ended).toBe("idle");
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
    runs.lane.calls.start();
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
