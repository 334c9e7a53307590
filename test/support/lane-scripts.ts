import fc from "fast-check";
import { leastMarginMs, mostMarginMs } from "../../src/domain/pace/refusal-constants.ts";
import type { Fault, ProcessScript, Turn, WorldScript } from "./lane-world.ts";
import type { Lag } from "./lease-row.ts";

const ms = (max: number) => fc.double({ min: 0, max, noNaN: true });

/** Mostly quick, sometimes slow, now and then longer than a lease lasts. */
const way = fc.oneof(
  { weight: 12, arbitrary: ms(20) },
  { weight: 3, arbitrary: ms(900) },
  { weight: 1, arbitrary: ms(9_000) },
);

const lag: fc.Arbitrary<Lag> = fc.record({
  there: way,
  inside: fc.oneof({ weight: 8, arbitrary: ms(5) }, { weight: 1, arbitrary: ms(2_000) }),
  back: way,
  isClockReadFirst: fc.boolean(),
  fate: fc.oneof(
    { weight: 12, arbitrary: fc.constant("answered" as const) },
    { weight: 1, arbitrary: fc.constantFrom("lost" as const, "unanswered" as const, "given-up" as const) },
  ),
});

const lateness = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: ms(100) },
  { weight: 1, arbitrary: ms(3_000) },
);

/** A connection is mostly open; some wait for longer than a lease lasts. */
const connecting = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: ms(60) },
  { weight: 2, arbitrary: ms(900) },
  { weight: 1, arbitrary: ms(12_000) },
);

function toTurn(rate: number): fc.Arbitrary<Turn> {
  return fc.record({
    retryMs: fc.oneof(ms(30), ms(100)).map((pause) => 2 + pause),
    calls: fc.integer({ min: 1, max: Math.ceil(rate * 1.5) + 1 }),
    lateness: fc.array(lateness, { minLength: 1, maxLength: 6 }),
    connecting: fc.array(connecting, { minLength: 1, maxLength: 6 }),
    idleMs: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: ms(3_000) }),
    restMs: fc.oneof({ weight: 2, arbitrary: ms(30) }, { weight: 1, arbitrary: ms(2_000) }),
  });
}

function toProcess(rate: number): fc.Arbitrary<ProcessScript> {
  return fc.record({
    clockOffsetMs: fc.integer({ min: -1e6, max: 1e6 }),
    drift: fc.double({ min: -0.0002, max: 0.0002, noNaN: true }),
    lags: fc.array(lag, { minLength: 3, maxLength: 12 }),
    turns: fc.array(toTurn(rate), { minLength: 1, maxLength: 6 }),
  });
}

const hourMs = 3_600_000;
const sign = fc.constantFrom(-1, 1);
const set = fc.tuple(sign, fc.oneof(ms(50), ms(3_000), ms(5 * hourMs))).map(([way, by]) => way * by);

const fault: fc.Arbitrary<Fault> = fc
  .tuple(
    fc.oneof(ms(100), ms(2_000), ms(6_000)),
    fc.oneof(
      { weight: 3, arbitrary: set.map((byMs) => ({ kind: "clock" as const, byMs })) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant("stall" as const), process: fc.nat(3), ms: ms(12_000) }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant("kill" as const), process: fc.nat(3), ms: ms(3_000) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant("pace" as const),
          share: fc.oneof(fc.constant(1), fc.double({ min: 0.1, max: 1, noNaN: true })),
          marginMs: fc.double({ min: leastMarginMs, max: mostMarginMs, noNaN: true }),
        }),
      },
    ),
  )
  .map(([afterMs, what]) => ({ ...what, afterMs }));

/** Worlds of two to four processes that share an instance of this rate, and all that may happen to them. */
export function toWorlds(requestsPerSecond: number): fc.Arbitrary<WorldScript> {
  return fc.record({
    pace: fc
      .double({ min: leastMarginMs, max: 20, noNaN: true })
      .map((marginMs) => ({ requestsPerSecond, marginMs })),
    processes: fc.array(toProcess(requestsPerSecond), { minLength: 2, maxLength: 4 }),
    faults: fc.array(fault, { maxLength: 10 }),
  });
}

/** Worlds of any rate from 1 to 1000 calls a second, whole or not; mostly slow ones, which take less time to simulate. */
export const anyWorld: fc.Arbitrary<WorldScript> = fc
  .oneof(
    { weight: 8, arbitrary: fc.constantFrom(1, 2, 3, 5, 10, 20, 50) },
    { weight: 6, arbitrary: fc.double({ min: 1, max: 12, noNaN: true }) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 100 }) },
    { weight: 1, arbitrary: fc.integer({ min: 100, max: 1_000 }) },
  )
  .chain(toWorlds);
