import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decide, type Decision, type DecisionOf } from "../../src/domain/lookup/decide.ts";
import type { Finding } from "../../src/domain/trouble/finding.ts";
import { toHold, type Hold } from "../../src/domain/trouble/hold.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { ThrottledPace } from "../../src/domain/ledger/run-ledger.ts";
import type { Outcome } from "../../src/domain/outcome.ts";
import { createBreaker, type Breaker } from "../../src/worker/trouble/breaker.ts";
import type { Call } from "../../src/worker/run/call.ts";
import { createDatabaseClock } from "../../src/worker/lane/clocks.ts";
import { TakenSlot } from "../../src/worker/lane/lane-slots.ts";
import { createLane } from "../../src/worker/lane/lane.ts";
import { toQueued } from "../support/fake-run-ledger.ts";

const instanceId = "1101000001" as InstanceId;
const policy = { maxAttempts: 5, retryBaseMs: 0, retryMaxMs: 0, probeBaseMs: 15_000, probeMaxMs: 600_000 };
const hourMs = 3_600_000;
const untold: Finding = { kind: "untold" };

/** A breaker whose ledger and state calls are a script; it writes down what it does. */
function open({ findings = [] as Finding[] } = {}) {
  let nowMs = 1_000;
  const told = [...findings];
  const log: string[] = [];
  const ledger = {
    isHeld: false,
    heldForMs: 0,
    isAway: false,
    pace: undefined as ThrottledPace | undefined,
  };
  const stopIfAway = () => {
    if (ledger.isAway) throw new Error("Postgres is away");
  };
  const wakes: number[] = [];
  const clock = { now: () => nowMs };
  const lane = createLane(instanceId, clock, createDatabaseClock());
  const events = {
    instanceHeld: ({ hold }: { hold: Hold }) => log.push(`held ${hold.reason}`),
    instanceStillHeld: ({ reason }: { reason: string }) => log.push(`still held ${reason}`),
    instanceRecovered: () => log.push("recovered"),
    instanceThrottled: () => log.push("throttled"),
    ledgerFailed: ({ where }: { where: string }) => log.push(`failed: ${where}`),
  };
  const breaker = createBreaker(
    {
      ledger: {
        async holdInstance(_id, hold) {
          stopIfAway();
          if (hold.allowedChatIds) log.push(`allowed ${hold.allowedChatIds.join(" ")}`);
          const isNew = !ledger.isHeld;
          ledger.isHeld = true;
          return { until: new Date(Date.now() + hold.baseMs), isNew };
        },
        async prolongHold() {
          stopIfAway();
          const { heldForMs } = ledger;
          return ledger.isHeld ? { reason: "failing", until: new Date(), heldForMs } : undefined;
        },
        async endHold() {
          stopIfAway();
          const wasHeld = ledger.isHeld;
          ledger.isHeld = false;
          return wasHeld ? "ended" : "not-held";
        },
        async putOff({ contactId }) {
          stopIfAway();
          log.push(`${contactId} put off`);
        },
        async throttle() {
          stopIfAway();
          return ledger.pace;
        },
      },
      check: {
        ask: async () => told.shift() ?? untold,
        confirm: async () => told.shift() ?? untold,
      },
      betweenSaves: async (_id, work) => work(),
      save: (_lane, { contact }, { kind }) => void log.push(`${contact.contactId} ${kind}`),
      wakeAfter: (_id, ms) => void wakes.push(ms),
      policy,
      clock,
      events,
    },
    lane,
  );
  return { breaker, lane, ledger, log, wakes, pass: (ms: number) => (nowMs += ms), now: () => nowMs };
}

type World = ReturnType<typeof open>;

function toCall(contactId: number, sentAt: number, probing = false): Call {
  return {
    epoch: 1,
    contact: toQueued(contactId),
    instance: {
      apiUrl: "http://x",
      sealedToken: "s",
      requestsPerSecond: 10,
      marginMs: 12,
      maxInFlight: 9,
      probing,
      heldKind: undefined,
      allowedChatIds: undefined,
      interactiveOnly: false,
    },
    askedAtMs: sentAt,
    slot: new TakenSlot(sentAt, sentAt, performance, undefined),
    sentAt,
  };
}

const outcomes = {
  timeout: { kind: "chat-timeout", scope: "chat" },
  unauthorized: { kind: "unauthorized", scope: "instance", status: 401 },
  expired: { kind: "expired", scope: "instance" },
  throttled: { kind: "throttled", scope: "instance", by: "provider", retryAfterMs: undefined },
} as const satisfies Record<string, Outcome>;

function decideOn<Kind extends Decision["kind"]>(outcome: Outcome, kind: Kind): DecisionOf<Kind> {
  const decision = decide(outcome, 0, policy, new Date(), 0);
  if (decision.kind !== kind) throw new Error(decision.kind);
  return decision as DecisionOf<Kind>;
}

const credentials = { instanceId, apiUrl: "http://x", token: "secret" };
const fail = (breaker: Breaker, call: Call, outcome: Outcome = outcomes.timeout) =>
  breaker.failed(call, decideOn(outcome, "suspect"), credentials);
/** Whatever was begun without being waited for. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

const unhandled: unknown[] = [];
const noteUnhandled = (error: unknown) => unhandled.push(error);
beforeEach(() => process.on("unhandledRejection", noteUnhandled));
afterEach(async () => {
  await new Promise(setImmediate);
  process.off("unhandledRejection", noteUnhandled);
  expect(unhandled.splice(0)).toEqual([]);
});

/** Ten calls fail, each of another contact. */
async function failTen({ breaker, now }: World): Promise<void> {
  for (let contactId = 1; contactId <= 10; contactId += 1) await fail(breaker, toCall(contactId, now()));
}

describe("the breaker", () => {
  test("settles none of those that wait, and charges each once with the next answer", async () => {
    const { breaker, log } = open();
    await fail(breaker, toCall(1, 500));
    expect(log).toEqual([]);
    await breaker.answered(toCall(2, 600));
    expect(log).toEqual(["1 retry"]);
    await breaker.answered(toCall(3, 700));
    expect(log).toEqual(["1 retry"]);
    breaker.stop();
  });

  test("lets no call go while it looks at the state, and charges them when that is fine", async () => {
    const world = open({ findings: [{ kind: "works" }] });
    const { breaker, lane, log, now } = world;
    const looking = fail(breaker, toCall(1, now()), outcomes.unauthorized);
    expect(lane.isPaused).toBe(true);
    await looking;
    await settled();
    expect(lane.isPaused).toBe(false);
    expect(log).toEqual([]);
    await breaker.answered(toCall(2, now()));
    expect(log).toEqual(["1 retry"]);
    breaker.stop();
  });

  test("holds the instance for a run of failures, releases all, and so whatever is still in flight", async () => {
    const world = open({ findings: [{ kind: "works" }] });
    const { breaker, lane, log, pass, now } = world;
    const inFlight = toCall(99, now());
    pass(1);
    await failTen(world);
    await settled();
    const released = Array.from({ length: 10 }, (_, index) => `${index + 1} release`);
    expect(log).toEqual(["held timing-out", ...released]);
    expect(lane.period).toBe(1);
    expect(lane.isPaused).toBe(false);
    pass(5_000);
    await fail(breaker, inFlight);
    expect(log.at(-1)).toBe("99 release");
    expect(log).toHaveLength(12);
  });

  test("ends its run even when the hold cannot be written down", async () => {
    const world = open();
    world.ledger.isAway = true;
    await failTen(world);
    await settled();
    expect(world.lane.period).toBe(1);
    expect(world.log.slice(0, 2)).toEqual(["failed: hold instance", "1 release"]);
  });

  test("holds at once for what is surely the instance's trouble, and charges nobody who is in doubt", async () => {
    const { breaker, log, now } = open();
    await fail(breaker, toCall(1, now()));
    const { hold } = decideOn(outcomes.expired, "instance");
    await breaker.refused(toCall(2, now()), hold);
    expect(log).toEqual(["held expired", "2 release", "1 release"]);
  });

  test("takes a chat that was refused from the list of those that may be asked", async () => {
    const { breaker, log, now, wakes } = open();
    const [listed, refused] = [toCall(1, now()), toCall(2, now())];
    const allowedChatIds = [listed.contact.chatId, refused.contact.chatId];
    await breaker.refused(refused, { ...toHold("correspondents-exhausted", policy), allowedChatIds });
    expect(log).toContain(`allowed ${listed.contact.chatId}`);
    expect(wakes).toContain(0);
  });

  test.each(["held", "paused", "gone"] as const)(
    "releases those in doubt when others have found that the instance is %s",
    async (end) => {
      const { breaker, log, now } = open();
      await fail(breaker, toCall(1, now()));
      breaker.runEnded("idle");
      expect(log).toEqual([]);
      breaker.runEnded(end);
      expect(log).toEqual(["1 release"]);
    },
  );

  test("ends a hold that others have opened with an answer, and only once", async () => {
    const { breaker, ledger, log, now } = open();
    ledger.isHeld = true;
    await breaker.answered(toCall(1, now()));
    expect(log).toEqual([]);
    breaker.runEnded("held");
    await breaker.answered(toCall(2, now()));
    await breaker.answered(toCall(3, now()));
    expect(log).toEqual(["recovered"]);
  });

  test("releases those in doubt at a hold of others although it was held before by its own word", async () => {
    const { breaker, log, now, pass } = open();
    await breaker.refused(toCall(1, now()), toHold("expired", policy));
    breaker.runEnded("held");
    // Somebody else's probe has ended it: calls go on, and nobody has been answered yet.
    breaker.runEnded("idle");
    pass(1);
    await fail(breaker, toCall(2, now()));
    breaker.runEnded("held");
    expect(log.at(-1)).toBe("2 release");
  });

  test("releases whoever waits when it is stopped, and whoever comes later", async () => {
    const { breaker, log, now } = open();
    await fail(breaker, toCall(1, now()));
    breaker.stop();
    await fail(breaker, toCall(2, now()));
    expect(log).toEqual(["1 release", "2 release"]);
  });
});

describe("a probe", () => {
  const probe = toCall(1, 1_000, true);

  test("that is answered ends the hold", async () => {
    const { breaker, ledger, log, wakes } = open();
    ledger.isHeld = true;
    await breaker.answered(probe);
    expect(log).toEqual(["recovered"]);
    expect(wakes).toEqual([0]);
  });

  const works: Finding = { kind: "works" };
  const silent: Finding = { kind: "silent", ground: "failure" };
  const blocked: Finding = { kind: "trouble", hold: toHold("blocked", policy) };

  test.each<[keyof typeof outcomes, Finding, string]>([
    ["timeout", works, "failing"],
    ["timeout", silent, "failing"],
    ["timeout", untold, "failing"],
    // The state is surer than what a single call brings.
    ["timeout", blocked, "blocked"],
    ["unauthorized", works, "failing"],
    ["unauthorized", silent, "unauthorized"],
    ["unauthorized", untold, "unauthorized"],
    ["unauthorized", blocked, "blocked"],
  ])(
    "that fails by %s while the state is %j makes way for another one and spends no attempt",
    async (...how) => {
      const [outcome, finding, reason] = how;
      const { breaker, ledger, log } = open({ findings: [finding] });
      ledger.isHeld = true;
      await fail(breaker, probe, outcomes[outcome]);
      expect(log).toEqual([`still held ${reason}`, "1 put off"]);
    },
  );

  test.each<[keyof typeof outcomes, Finding, string]>([
    ["timeout", works, "1 retry"],
    ["unauthorized", works, "1 retry"],
    ["timeout", silent, "1 put off"],
    ["timeout", untold, "1 put off"],
    ["timeout", blocked, "1 put off"],
    ["unauthorized", silent, "1 put off"],
    ["unauthorized", untold, "1 put off"],
    ["unauthorized", blocked, "1 put off"],
  ])(
    "that fails by %s in an old hold is charged if the state is fine, not if it is %j",
    async (outcome, finding, record) => {
      const { breaker, ledger, log } = open({ findings: [finding] });
      ledger.isHeld = true;
      ledger.heldForMs = hourMs + 1;
      await fail(breaker, probe, outcomes[outcome]);
      expect(log.at(-1)).toBe(record);
    },
  );

  test("that is refused makes way for another one, too", async () => {
    const { breaker, log } = open();
    await breaker.refused(probe, toHold("expired", policy));
    expect(log).toEqual(["held expired", "1 put off"]);
  });

  test("that is throttled leaves the instance held", async () => {
    const { breaker, ledger, log } = open();
    ledger.isHeld = true;
    await breaker.throttled(probe, decideOn(outcomes.throttled, "throttled"));
    expect(log).toEqual(["still held failing", "1 release"]);
  });

  test("survives a ledger that is away", async () => {
    const { breaker, ledger, log } = open();
    ledger.isAway = true;
    await fail(breaker, probe);
    await breaker.answered(probe);
    expect(log).toEqual(["failed: prolong hold", "failed: put off", "failed: end hold"]);
  });
});

describe("a refusal for the rate", () => {
  const decision = decideOn(outcomes.throttled, "throttled");
  const pace = { marginMs: 15, callsAllowed: 10, until: undefined, mustHold: false };

  test("releases the contact and goes on at the new pace", async () => {
    const { breaker, lane, ledger, log, now } = open();
    ledger.pace = pace;
    await breaker.throttled(toCall(1, now()), decision);
    expect(log).toEqual(["throttled", "1 release"]);
    expect(lane.period).toBe(0);
  });

  test("that says how long to wait ends the run, and wakes the instance when the wait is over", async () => {
    const { breaker, lane, ledger, now, wakes } = open();
    ledger.pace = { ...pace, until: new Date(Date.now() + 3_000) };
    await breaker.throttled(toCall(1, now()), decision);
    expect(lane.period).toBe(1);
    expect(wakes[0]).toBeGreaterThan(2_000);
  });

  test("that says how long to wait is no news to those in doubt: they are not released", async () => {
    const { breaker, ledger, log, now } = open();
    await fail(breaker, toCall(1, now()));
    ledger.pace = { ...pace, until: new Date(Date.now() + 3_000) };
    await breaker.throttled(toCall(2, now()), decision);
    ledger.isAway = true;
    await breaker.throttled(toCall(3, now()), decision);
    // Sent earlier: it proves nothing.
    await breaker.answered(toCall(9, now() - 1));
    breaker.runEnded("held");
    breaker.runEnded("throttled");
    expect(log).toEqual(["throttled", "2 release", "failed: throttle", "3 release"]);
    await breaker.answered(toCall(4, now()));
    expect(log).toContain("1 retry");
  });

  test("that does not cease holds the instance", async () => {
    const { breaker, ledger, log, now } = open();
    ledger.pace = { ...pace, mustHold: true };
    await breaker.throttled(toCall(1, now()), decision);
    expect(log).toEqual(["throttled", "held throttled", "1 release"]);
  });

  test("that is old news, or cannot be written down, costs the contact nothing", async () => {
    const { breaker, lane, ledger, log, now } = open();
    await breaker.throttled(toCall(1, now()), decision);
    ledger.isAway = true;
    await breaker.throttled(toCall(2, now()), decision);
    expect(log).toEqual(["1 release", "failed: throttle", "2 release"]);
    expect(lane.period).toBe(1);
  });
});
