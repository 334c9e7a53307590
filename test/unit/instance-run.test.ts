import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { sleep } from "../../src/lib/deadline.ts";
import { runInstance, type Call } from "../../src/worker/instance-run.ts";
import { createLane, type Lane } from "../../src/worker/lane.ts";
import { eventually } from "../support/eventually.ts";
import { createFakeRunLedger, type FakeRunLedger } from "../support/fake-run-ledger.ts";
import { createGate } from "../support/gate.ts";

const instanceId = "1101000001" as InstanceId;
const fast = { requestsPerSecond: 2_000, maxInFlight: 1_000 };
const longSlice = { sliceMs: 600_000, marginMs: 12 };

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
  run(settings?: { sliceMs: number; marginMs: number }): ReturnType<typeof runInstance>;
  /** Answers the oldest calls in flight. */
  answer(count?: number): void;
}

/** @param onCall told of each call that is sent; by default a call stays in flight until `answer` */
function openRuns(ledger: FakeRunLedger, onCall: (runs: Runs) => void = () => undefined): Runs {
  const lane = createLane(instanceId, performance);
  const stopping = new AbortController();
  const sent: Call[] = [];
  const runs: Runs = {
    lane,
    sent,
    stopping,
    answer(count = 1) {
      for (let answered = 0; answered < count; answered += 1) lane.callEnded();
    },
    run: (settings = longSlice) =>
      runInstance(
        {
          ledger,
          clock: performance,
          settings,
          call(_, call) {
            lane.inFlight += 1;
            sent.push(call);
            onCall(runs);
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

  test("claims half a second of calls at a time, one at first and never more than 500", async () => {
    const slow = createFakeRunLedger({ requestsPerSecond: 20, maxInFlight: 100 }, 14);
    await openRuns(slow, ({ answer }) => answer()).run();
    expect(slow.claims.map(({ limit }) => limit)).toEqual([1, 10, 10, 10]);
    const quick = createFakeRunLedger({ requestsPerSecond: 5_000, maxInFlight: 9_000 }, 600);
    await openRuns(quick, ({ answer }) => answer()).run();
    expect(Math.max(...quick.claims.map(({ limit }) => limit))).toBe(500);
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
    expect(runs.lane.inFlight).toBe(4);
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
      if (sent.length === 7) lane.holds += 1;
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
    expect(await runs.run({ sliceMs: 150, marginMs: 12 })).toBe("sliced");
    expect(runs.sent.length).toBeGreaterThan(0);
    expect(runs.lane.inFlight).toBe(runs.sent.length);
    expect(runs.sent.length + ledger.released.length).toBe(100_000 - ledger.due);
  });

  test("hands over after its slice although all that it may have in flight is never answered", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2_000, maxInFlight: 3 }, 50);
    const runs = openRuns(ledger);
    expect(await runs.run({ sliceMs: 1_000, marginMs: 12 })).toBe("sliced");
    expect(runs.lane.inFlight).toBe(3);
  });

  test("never has more calls in flight than the instance allows, one run after the other", async () => {
    const ledger = createFakeRunLedger({ requestsPerSecond: 2_000, maxInFlight: 3 }, 40);
    let most = 0;
    const runs = openRuns(ledger, ({ lane }) => {
      most = Math.max(most, lane.inFlight);
    });
    for (let slices = 0; slices < 4; slices += 1) await runs.run({ sliceMs: 30, marginMs: 12 });
    expect(runs.lane.inFlight).toBe(3);
    const rest = runs.run();
    while (runs.sent.length < 40 || runs.lane.inFlight > 0) {
      if (runs.lane.inFlight > 0) runs.answer();
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
    runs.lane.holds += 1;
    runs.answer();
    expect(await ended).toBe("held");
    expect(runs.sent).toHaveLength(1);
  });

  test("ends at once when it is told to stop while its probe is in flight", async () => {
    const ledger = createFakeRunLedger(probing, 10);
    const runs = openRuns(ledger);
    const ended = runs.run();
    await eventually(() => expect(runs.sent).toHaveLength(1));
    runs.stopping.abort();
    expect(await ended).toBe("stopped");
    expect(runs.lane.inFlight).toBe(1);
  });
});
