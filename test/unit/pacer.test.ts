import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createPacer, slotSpacingMs, slotToleranceMs, type Pacer } from "../../src/domain/pace/pacer.ts";
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

/** Sends a call that leaves at once. */
function sendAt(pacer: Pacer, at: number): void {
  pacer.send(at);
  expect(pacer.leave(at)).toBe(true);
}

/** Sends calls as soon as the pacer and the timers allow; each timer is late by the next of `latenesses`. */
function simulate(requestsPerSecond: number, calls: number, latenesses: readonly number[]): number[] {
  const pacer = createPacer({ requestsPerSecond, marginMs }, 0);
  const sent: number[] = [];
  let now = 0;
  for (let call = 0; call < calls; call += 1) {
    now = Math.max(now, pacer.nextAt()) + (latenesses[call % latenesses.length] ?? 0);
    sendAt(pacer, now);
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
    sendAt(pacer, 1_000 + slotToleranceMs);
    expect(pacer.nextAt()).toBeCloseTo(1_101.2);
  });

  test("pushes later slots by what a call is late beyond the tolerance", () => {
    const pacer = createPacer({ requestsPerSecond: 10, marginMs }, 1_000);
    sendAt(pacer, 1_000 + slotToleranceMs + 700);
    expect(pacer.nextAt()).toBeCloseTo(1_801.2);
    sendAt(pacer, 1_801.2);
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
        const connecting: number[] = [];
        let now = 0;
        for (let index = 0; index < Math.max(80, 4 * rate); index += 1) {
          // What leaves before the next call may go is known by then, and may put it off.
          for (;;) {
            const nextAt = Math.max(now, pacer.nextAt());
            const next = connecting.toSorted((a, b) => a - b)[0];
            if (next === undefined || next > nextAt) {
              now = nextAt;
              break;
            }
            now = Math.max(now, next);
            if (pacer.leave(now)) left.push(now);
            connecting.splice(connecting.indexOf(next), 1);
          }
          pacer.send(now);
          connecting.push(now + (delaysMs[index % delaysMs.length] ?? 0));
        }
        expect(findOverfullSecond(left, rate)).toBeUndefined();
        expect(left.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });

  test("waits for calls that have not left yet where they may need all that there is", () => {
    const pacer = createPacer({ requestsPerSecond: 2, marginMs }, 0);
    pacer.send(0);
    pacer.send(506);
    expect(pacer.nextAt()).toBe(Infinity);
    expect(pacer.leave(600)).toBe(true);
    expect(pacer.nextAt()).toBeCloseTo(1_612);
    expect(pacer.leave(700)).toBe(true);
    expect(pacer.nextAt()).toBeCloseTo(1_612);
  });

  test("gives the place of a call that has ended without leaving to others", () => {
    const pacer = createPacer({ requestsPerSecond: 1, marginMs }, 0);
    pacer.send(0);
    expect(pacer.nextAt()).toBe(Infinity);
    pacer.drop();
    expect(pacer.nextAt()).toBeLessThan(Infinity);
  });

  test("lets no call leave that would be one too many, and has ended it", () => {
    const pacer = createPacer({ requestsPerSecond: 1, marginMs }, 0);
    sendAt(pacer, 0);
    pacer.send(900);
    expect(pacer.leave(1_011)).toBe(false);
    expect(pacer.nextAt()).toBeLessThan(Infinity);
    pacer.send(1_012);
    expect(pacer.leave(1_012)).toBe(true);
  });

  test("counts calls that left by another hand, in any order, as its own", () => {
    const pacer = createPacer({ requestsPerSecond: 3, marginMs }, -Infinity);
    pacer.add([300, 100, 200]);
    expect(pacer.nextAt()).toBeCloseTo(1_112);
    pacer.send(1_112);
    expect(pacer.leave(1_112)).toBe(true);
    expect(pacer.listRecent(1_200)).toEqual([200, 300, 1_112]);
    expect(pacer.nextAt()).toBeGreaterThanOrEqual(1_212);
  });

  test("lists the calls that still count, also those of a faster pace before", () => {
    const pacer = createPacer({ requestsPerSecond: 10, marginMs }, 0);
    for (let call = 0; call < 20; call += 1) sendAt(pacer, call * 110);
    pacer.setPace({ requestsPerSecond: 2, marginMs });
    const recent = pacer.listRecent(20 * 110);
    expect(recent).toEqual(
      Array.from({ length: 20 }, (_, call) => call * 110).filter((at) => at > 2_200 - 1_012),
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
            sendAt(pacer, now);
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
