import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFetchLimits } from "../../src/images/fetch/create-fetch-limits.ts";

/** A gate of two places a host, three in all and 1,000 bytes a second, with its clock in hand. */
function openGate() {
  const clock = { at: 5_000, now: () => clock.at };
  return { clock, gate: createFetchLimits({ inFlight: 3, perHost: 2, bytesPerSecond: 1_000 }, clock) };
}

const begun = { kind: "begun" };

describe("fetches begin", () => {
  test("while their host has a place, and all together have one", () => {
    const { gate } = openGate();
    expect([gate.begin("a"), gate.begin("a"), gate.begin("a")]).toEqual([
      begun,
      begun,
      { kind: "host-full" },
    ]);
    expect([gate.begin("b"), gate.begin("b")]).toEqual([begun, { kind: "full" }]);
    gate.end("b");
    expect([gate.begin("a"), gate.begin("c")]).toEqual([{ kind: "host-full" }, begun]);
    gate.end("a");
    expect(gate.begin("a")).toEqual(begun);
    expect(gate.inFlight()).toBe(3);
  });

  test("as long as no bytes are owed, and again when the rate has paid them", () => {
    const { clock, gate } = openGate();
    gate.spend(1_000);
    expect(gate.begin("a")).toEqual(begun);
    gate.spend(2_500);
    expect(gate.begin("a")).toEqual({ kind: "wait", waitMs: 2_500 });
    clock.at += 2_499;
    expect(gate.begin("a")).toEqual({ kind: "wait", waitMs: 1 });
    clock.at += 1;
    expect(gate.begin("a")).toEqual(begun);
  });

  test("after a long rest with one second's worth of bytes, and no more", () => {
    const { clock, gate } = openGate();
    clock.at += 3_600_000;
    gate.spend(1_001);
    expect(gate.begin("a")).toEqual({ kind: "wait", waitMs: 1 });
  });

  test("no sooner when the clock goes back, and no later either", () => {
    const { clock, gate } = openGate();
    gate.spend(2_000);
    clock.at -= 1_000;
    expect(gate.begin("a")).toEqual({ kind: "wait", waitMs: 1_000 });
    clock.at += 2_000;
    expect(gate.begin("a")).toEqual(begun);
  });

  test("in no greater number because one ended twice", () => {
    const { gate } = openGate();
    gate.begin("a");
    gate.end("a");
    gate.end("a");
    gate.end("b");
    expect(gate.inFlight()).toBe(0);
    expect([gate.begin("a"), gate.begin("a"), gate.begin("a")]).toEqual([
      begun,
      begun,
      { kind: "host-full" },
    ]);
  });
});

const step = fc.oneof(
  fc.record({ do: fc.constant("begin" as const), host: fc.constantFrom("a", "b", "c", "d") }),
  fc.record({ do: fc.constant("end" as const) }),
  fc.record({ do: fc.constant("spend" as const), count: fc.nat({ max: 5_000 }) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.nat({ max: 3_000 }) }),
);

test("whatever happens, no limit is passed, and what is told to wait begins after that wait", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { clock, gate } = openGate();
      const running: string[] = [];
      for (const at of steps) {
        if (at.do === "spend") gate.spend(at.count);
        if (at.do === "wait") clock.at += at.ms;
        if (at.do === "end") gate.end(running.shift() ?? "none");
        if (at.do !== "begin") continue;
        let verdict = gate.begin(at.host);
        if (verdict.kind === "wait") {
          clock.at += verdict.waitMs;
          verdict = gate.begin(at.host);
        }
        const ofHost = running.filter((host) => host === at.host).length;
        expect(verdict.kind).toBe(running.length >= 3 ? "full" : ofHost >= 2 ? "host-full" : "begun");
        if (verdict.kind === "begun") running.push(at.host);
        expect(gate.inFlight()).toBe(running.length);
      }
    }),
    {
      // A sum of fractions that is a little less than nothing.
      examples: [
        [
          [
            { do: "spend", count: 996 },
            { do: "spend", count: 1009 },
            { do: "begin", host: "a" },
          ],
        ],
      ],
    },
  );
});
