import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TakenLease } from "../../src/domain/ledger/lease.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { slotToleranceMs } from "../../src/domain/pace/pacer.ts";
import { createCallAllowance, type CallAllowance } from "../../src/worker/lane/call-allowance.ts";
import { createDatabaseClock } from "../../src/worker/lane/clocks.ts";
import { createLane } from "../../src/worker/lane/lane.ts";

const instance = {
  apiUrl: "http://x",
  sealedToken: "sealed",
  requestsPerSecond: 10,
  marginMs: 12,
  maxInFlight: undefined,
  probing: false,
  heldKind: undefined,
  allowedChatIds: undefined,
  interactiveOnly: false,
};
const spacingMs = 101.2;

/** A lease of an instance that was not called before, taken at the database's 5000. */
const first: TakenLease = {
  kind: "taken",
  epoch: 1,
  instance,
  callsFromMs: 0,
  recentCallsMs: [],
  handedOverAtMs: undefined,
  databaseNowMs: 5_000,
};

function openLane(startsAt = 1_000) {
  const clock = { at: startsAt, now: () => clock.at };
  const database = createDatabaseClock();
  const lane = createLane("1101000001" as InstanceId, clock, database);
  let allowance: CallAllowance | undefined;
  return {
    clock,
    database,
    lane,
    open(lease: Partial<TakenLease> = {}, lastsMs = Infinity) {
      allowance = createCallAllowance(lastsMs);
      allowance.renew(undefined, clock.at);
      lane.slots.open({ ...first, ...lease }, allowance);
    },
    renew: () => allowance?.renew(undefined, clock.at),
  };
}

describe("a lane", () => {
  test("without a lease lets no call go", () => {
    const { lane } = openLane();
    expect(lane.slots.nextAt()).toBe(Infinity);
    expect(lane.slots.take().mayLeave()).toBe(false);
  });

  test("begins at once with an instance that was not called before", () => {
    const { clock, lane, open } = openLane();
    open();
    expect(lane.slots.nextAt()).toBeLessThanOrEqual(clock.at);
  });

  test("begins where the last lease has left off, as if it had been given back just now", () => {
    const { lane, open } = openLane();
    // Given back at 4000 by the database's clock, its next slot 70 ms later.
    open({ handedOverAtMs: 4_000, callsFromMs: 4_070 });
    expect(lane.slots.nextAt()).toBe(1_070);
  });

  test.each([-7_200_000, 7_200_000])(
    "begins there also where the database's clock was set by %i ms since",
    (setByMs) => {
      const { lane, open } = openLane();
      open({ handedOverAtMs: 4_000, callsFromMs: 4_070, databaseNowMs: 4_100 + setByMs });
      expect(lane.slots.nextAt()).toBe(1_070);
    },
  );

  test("counts the last calls of the lease before", () => {
    const { clock, lane, open } = openLane();
    const recentCallsMs = Array.from({ length: 10 }, (_, call) => 3_800 + call * 20);
    open({ handedOverAtMs: 4_000, callsFromMs: 4_000, recentCallsMs });
    // The first of them left 200 ms before the lease was given back.
    expect(lane.slots.nextAt()).toBeCloseTo(1_000 - 200 + 1_012);
    clock.at = 1_100;
    expect(lane.slots.take().mayLeave()).toBe(false);
  });

  test("leaves to the next lease when its last calls left, and its next slot", () => {
    const { clock, lane, open } = openLane();
    open();
    for (const at of [1_000, 1_300, 1_400]) {
      clock.at = at;
      expect(lane.slots.take().mayLeave()).toBe(true);
    }
    clock.at = 1_450;
    const { nextCallInMs, recentAgesMs } = lane.slots.close();
    expect(recentAgesMs).toEqual([450, 150, 50]);
    expect(nextCallInMs).toBeGreaterThan(0);
    expect(nextCallInMs).toBeLessThanOrEqual(spacingMs);
  });

  test("leaves no slot that is infinitely far away where calls still wait for their connections", () => {
    const { lane, open } = openLane();
    open();
    for (let call = 0; call < 10; call += 1) lane.slots.take();
    expect(lane.slots.nextAt()).toBe(Infinity);
    expect(lane.slots.close()).toEqual({ nextCallInMs: 0, recentAgesMs: [] });
  });

  test("knows its own calls when the lease before was its own, whatever that one has left", () => {
    const { clock, lane, open } = openLane();
    open();
    lane.slots.take().mayLeave();
    lane.slots.close();
    clock.at = 1_040;
    open({ epoch: 2, handedOverAtMs: 4_000, callsFromMs: 9_000, recentCallsMs: [4_000] });
    // Its first call was within the tolerance.
    expect(lane.slots.nextAt()).toBeCloseTo(1_000 - slotToleranceMs + spacingMs);
  });

  test("lets nothing leave once its lease has ended, by its own clock", () => {
    const { clock, lane, open, renew } = openLane();
    open({}, 4_000);
    const [inTime, late] = [lane.slots.take(), lane.slots.take()];
    clock.at = 4_999;
    expect(inTime.mayLeave()).toBe(true);
    clock.at = 5_000;
    expect(late.mayLeave()).toBe(false);
    expect(lane.slots.nextAt()).toBe(Infinity);
    renew();
    expect(lane.slots.take().mayLeave()).toBe(true);
  });

  test("lets nothing leave once its lease is given back, although it was renewed meanwhile", () => {
    const { lane, open, renew } = openLane();
    open();
    const slot = lane.slots.take();
    lane.slots.close();
    renew();
    expect(slot.mayLeave()).toBe(false);
  });

  test("lets nothing leave that was sent under an earlier lease", () => {
    const { lane, open } = openLane();
    open();
    const slot = lane.slots.take();
    lane.slots.close();
    expect(slot.mayLeave()).toBe(false);
    const other = openLane();
    other.open();
    const earlier = other.lane.slots.take();
    other.lane.slots.close();
    other.open({ epoch: 2 });
    expect(earlier.mayLeave()).toBe(false);
    expect(other.lane.slots.take().mayLeave()).toBe(true);
  });

  test("lets a call leave once, and not when it has ended", () => {
    const { lane, open } = openLane();
    open();
    const once = lane.slots.take();
    expect([once.mayLeave(), once.mayLeave()]).toEqual([true, false]);
    const ended = lane.slots.take();
    ended.end();
    expect(ended.mayLeave()).toBe(false);
  });

  test("gives the place of a call that has ended without leaving to others, once", () => {
    const { lane, open } = openLane();
    open();
    const calls = Array.from({ length: 10 }, () => lane.slots.take());
    expect(lane.slots.nextAt()).toBe(Infinity);
    calls[0]?.end();
    calls[0]?.end();
    expect(lane.slots.nextAt()).toBeLessThan(Infinity);
    lane.slots.take();
    expect(lane.slots.nextAt()).toBe(Infinity);
  });

  test.each([0, 60, 200, 300])("sends a lone call although the database took %i ms to answer", (tookMs) => {
    const { clock, lane, open } = openLane();
    clock.at = 1_000 + tookMs;
    open({ handedOverAtMs: 3_000, callsFromMs: 2_900 });
    expect(lane.slots.nextAt()).toBeLessThanOrEqual(clock.at);
  });

  test("sends nothing before the moment that it was told, and goes on from there in its spacing", () => {
    const { clock, lane, open } = openLane();
    open();
    lane.slots.notBefore(1_070);
    expect(lane.slots.nextAt()).toBe(1_070);
    clock.at = 1_070;
    lane.slots.take();
    expect(lane.slots.nextAt()).toBeCloseTo(1_070 + spacingMs, 5);
    lane.slots.notBefore(1_010);
    expect(lane.slots.nextAt()).toBeCloseTo(1_070 + spacingMs, 5);
  });

  test("moves the slots behind a call that goes late, by what it is late beyond the tolerance", () => {
    const { clock, lane, open } = openLane();
    open();
    lane.slots.notBefore(1_000);
    clock.at = 1_000 + slotToleranceMs + 400;
    lane.slots.take();
    expect(lane.slots.nextAt()).toBeCloseTo(1_400 + spacingMs);
  });

  test("keeps a pace that is told during its lease", () => {
    const { clock, lane, open } = openLane();
    open();
    lane.slots.adapt({ requestsPerSecond: 2, marginMs: 12 });
    lane.slots.notBefore(clock.at);
    lane.slots.take();
    expect(lane.slots.nextAt()).toBeCloseTo(1_506);
  });

  test("stamps a call by the database's clock, rather too early than too late", () => {
    const { clock, database, lane, open } = openLane();
    // The statement was answered at 1040: the database's 5000 was some time before.
    database.observe(5_000, 1_040);
    open();
    clock.at = 1_050;
    expect(lane.slots.take().askedAtMs).toBe(5_010);
  });

  test("wakes its run at the end of a call, and counts those in flight", async () => {
    const { lane } = openLane();
    const { calls } = lane;
    for (let call = 0; call < 2; call += 1) calls.begin(1_000);
    const waiting = lane.alarm.wait(60_000);
    calls.end();
    await waiting;
    expect(lane.calls.inFlight).toBe(1);
  });

  test("may send when all who have paused it have resumed it, and wakes its run then", async () => {
    const { lane } = openLane();
    expect(lane.isPaused).toBe(false);
    lane.pauseCalls();
    lane.pauseCalls();
    lane.resumeCalls();
    expect(lane.isPaused).toBe(true);
    await lane.alarm.wait(60_000);
    const resumed = lane.alarm.wait(60_000);
    lane.resumeCalls();
    await resumed;
    expect(lane.isPaused).toBe(false);
  });

  test("says that no run is there to look at what has arrived", () => {
    const { lane } = openLane();
    expect(lane.arrive()).toBe(false);
    expect(lane.hasArrived).toBe(false);
  });
});

test("the database's clock is never thought to be later than it is, wherever in a statement it was read", () => {
  const lag = fc.double({ min: 0, max: 5_000, noNaN: true });
  const offset = fc.integer({ min: -1e9, max: 1e9 });
  fc.assert(
    fc.property(lag, lag, lag, offset, (there, back, later, offsetMs) => {
      const database = createDatabaseClock();
      const readAt = 1_000 + there;
      const receivedAt = readAt + back;
      database.observe(readAt + offsetMs, receivedAt);
      const local = receivedAt + later;
      const tiny = 1e-5;
      expect(database.atLeast(local)).toBeLessThanOrEqual(local + offsetMs + tiny);
      expect(database.atLeast(local)).toBeGreaterThanOrEqual(local + offsetMs - back - tiny);
    }),
  );
});
