import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createPacer, slotSpacingMs, slotToleranceMs } from "../../src/domain/pace/pacer.ts";
import { findOverfullSecond } from "../support/sliding-second.ts";

const marginMs = 12;
const rates = fc.constantFrom(1, 2, 3, 5, 10, 20, 50, 1000);
/** Mostly punctual, often a little late, sometimes very. */
const lateness = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 5, arbitrary: fc.double({ min: 0, max: 20, noNaN: true }) },
  { weight: 3, arbitrary: fc.double({ min: 0, max: 2 * slotToleranceMs, noNaN: true }) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 3_000, noNaN: true }) },
);

/** Sends calls as soon as the pacer and the timers allow; each timer is late by the next of `latenesses`. */
function simulate(requestsPerSecond: number, calls: number, latenesses: readonly number[]): number[] {
  const pacer = createPacer({ requestsPerSecond, marginMs }, 0);
  const sent: number[] = [];
  let now = 0;
  for (let call = 0; call < calls; call += 1) {
    now = Math.max(now, pacer.nextAt()) + (latenesses[call % latenesses.length] ?? 0);
    pacer.sent(now);
    sent.push(now);
  }
  return sent;
}

describe("a pacer", () => {
  test("lets no sliding second hold more calls than the rate, however late the timers are", () => {
    const timers = fc.array(lateness, { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(rates, timers, (rate, latenesses) => {
        const sent = simulate(rate, Math.max(60, 3 * rate), latenesses);
        expect(findOverfullSecond(sent, rate)).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  test("keeps a rate that is no whole number too", () => {
    const rate = fc.double({ min: 0.2, max: 30, noNaN: true });
    fc.assert(
      fc.property(rate, fc.array(lateness, { minLength: 1, maxLength: 60 }), (perSecond, latenesses) => {
        const sent = simulate(perSecond, 60, latenesses);
        expect(findOverfullSecond(sent, Math.max(1, Math.floor(perSecond)))).toBeUndefined();
        // Below one a second it is the spacing that keeps the rate.
        if (perSecond < 1) {
          const gaps = sent.slice(1).map((at, index) => at - (sent[index] ?? 0));
          expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1000 / perSecond);
        }
      }),
    );
  });

  test.each([1, 2, 3, 5, 10, 20, 50, 1000])(
    "with punctual timers uses all of %i a second that the margin leaves",
    (rate) => {
      const seconds = 20;
      const sent = simulate(rate, rate * seconds + 1, [0]);
      const used = (sent.length - 1) / ((sent.at(-1) ?? 0) / 1000);
      expect(used / rate).toBeCloseTo(1000 / (1000 + marginMs), 6);
      expect(used / rate).toBeGreaterThan(0.97);
    },
  );

  test.each([10, 20, 50])(
    "loses nothing at %i a second by timers that are late within the tolerance",
    (rate) => {
      const latenesses = [0, 1, 7, 0, 0, 12, 0, 3];
      const calls = 20 * rate;
      const punctual = simulate(rate, calls, [0]).at(-1) ?? 0;
      const late = simulate(rate, calls, latenesses).at(-1) ?? 0;
      // The full-second rule adds to a second what its first call was late by.
      expect(punctual / late).toBeGreaterThan(0.97);
    },
  );

  test("lets a call that is late by no more than the tolerance move nothing", () => {
    const pacer = createPacer({ requestsPerSecond: 10, marginMs }, 1_000);
    pacer.sent(1_000 + slotToleranceMs);
    expect(pacer.nextAt()).toBeCloseTo(1_101.2);
  });

  test("pushes later slots by what a call is late beyond the tolerance", () => {
    const pacer = createPacer({ requestsPerSecond: 10, marginMs }, 1_000);
    pacer.sent(1_000 + slotToleranceMs + 700);
    expect(pacer.nextAt()).toBeCloseTo(1_801.2);
    pacer.sent(1_801.2);
    expect(pacer.nextAt()).toBeCloseTo(1_902.4);
  });

  test("waits for slots that were reserved anew, and never goes back", () => {
    const pacer = createPacer({ requestsPerSecond: 10, marginMs }, 1_000);
    pacer.startAt(5_000);
    expect(pacer.nextAt()).toBe(5_000);
    pacer.startAt(2_000);
    expect(pacer.nextAt()).toBe(5_000);
  });

  test("counts calls when they leave, although connections that are opened first keep some of them", () => {
    const delays = fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.constant(0) },
        { weight: 2, arbitrary: fc.double({ min: 0, max: 900, noNaN: true }) },
      ),
      { minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(fc.constantFrom(1, 3, 10, 50), delays, (rate, delaysMs) => {
        const pacer = createPacer({ requestsPerSecond: rate, marginMs }, 0);
        const left: number[] = [];
        let connecting: { call: number; at: number }[] = [];
        let now = 0;
        for (let index = 0; index < Math.max(80, 4 * rate); index += 1) {
          // What leaves before the next call may go is known by then, and may put it off.
          for (;;) {
            const nextAt = Math.max(now, pacer.nextAt());
            const next = connecting.toSorted((a, b) => a.at - b.at)[0];
            if (next === undefined || next.at > nextAt) {
              now = nextAt;
              break;
            }
            now = Math.max(now, next.at);
            pacer.left(next.call, next.at);
            connecting = connecting.filter((other) => other !== next);
          }
          const at = now + (delaysMs[index % delaysMs.length] ?? 0);
          connecting.push({ call: pacer.sent(now), at });
          left.push(at);
        }
        expect(
          findOverfullSecond(
            left.toSorted((a, b) => a - b),
            rate,
          ),
        ).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  test("keeps the new rate from the moment that it changes, and counts what was sent before", () => {
    const changes = fc.array(fc.tuple(rates, fc.integer({ min: 1, max: 60 }), lateness), {
      minLength: 2,
      maxLength: 6,
    });
    fc.assert(
      fc.property(changes, (phases) => {
        const pacer = createPacer({ requestsPerSecond: phases[0]?.[0] ?? 1, marginMs }, 0);
        const sent: { at: number; rate: number }[] = [];
        let now = 0;
        for (const [rate, calls, late] of phases) {
          pacer.setPace({ requestsPerSecond: rate, marginMs });
          for (let call = 0; call < calls; call += 1) {
            now = Math.max(now, pacer.nextAt()) + (call % 3 === 0 ? late : 0);
            pacer.sent(now);
            sent.push({ at: now, rate });
          }
        }
        for (const [index, { at, rate }] of sent.entries()) {
          const within = sent.slice(0, index + 1).filter((earlier) => earlier.at > at - 1000);
          expect(within.length).toBeLessThanOrEqual(rate);
        }
      }),
    );
  });
});

test("slots share a full second and its margin evenly", () => {
  expect(slotSpacingMs({ requestsPerSecond: 10, marginMs: 12 })).toBeCloseTo(101.2);
  expect(slotSpacingMs({ requestsPerSecond: 0.5, marginMs: 12 })).toBeCloseTo(2_024);
});
