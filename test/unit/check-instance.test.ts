import { describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { StateReport } from "../../src/domain/lookup/state-report.ts";
import { createInstanceCheck, toFinding } from "../../src/worker/trouble/check-instance.ts";

const policy = { probeBaseMs: 15_000, probeMaxMs: 600_000 };
const now = new Date("2026-08-15T12:00:00Z");
const instance = { instanceId: "1101000001" as InstanceId, apiUrl: "http://x", token: "secret" };

const works: StateReport = { kind: "state", state: "authorized", verdict: "works" };
const loggedOut: StateReport = { kind: "state", state: "notAuthorized", verdict: "needs-person" };
const unanswered: StateReport = { kind: "unanswered", code: "DEADLINE" };

describe("a report", () => {
  test.each<[StateReport, string]>([
    [works, "works"],
    [{ kind: "state", state: "dreaming", verdict: "unknown" }, "works"],
    [{ kind: "state", state: "sleepMode", verdict: "waits" }, "starting"],
    [loggedOut, "not-authorized"],
    [{ kind: "state", state: "blocked", verdict: "needs-person" }, "blocked"],
    [{ kind: "refused", outcome: { kind: "unauthorized", scope: "instance", status: 401 } }, "unauthorized"],
    [{ kind: "refused", outcome: { kind: "expired", scope: "instance" } }, "expired"],
    [unanswered, "silence"],
    [{ kind: "unanswered", code: "HTTP_503" }, "failure"],
    [{ kind: "unanswered", code: "ECONNREFUSED" }, "failure"],
    [{ kind: "unanswered", code: "NOT_UNDERSTOOD" }, "failure"],
    [{ kind: "unanswered", code: "ABORTED" }, "untold"],
    [{ kind: "throttled", retryAfterMs: 1_000 }, "untold"],
    [
      {
        kind: "refused",
        outcome: { kind: "throttled", scope: "instance", by: "whatsapp", retryAfterMs: undefined },
      },
      "untold",
    ],
  ])("%j means %s", (report, expected) => {
    const finding = toFinding(report, now, policy);
    if (finding.kind === "trouble") expect(finding.hold.reason).toBe(expected);
    else expect(finding.kind === "silent" ? finding.ground : finding.kind).toBe(expected);
  });
});

/** Answers with the reports in turn; the first turn is `waits[0]` ms away, and so on. */
function open(reports: readonly StateReport[], { waits = [0], lateMs = 0 } = {}) {
  const told = [...reports];
  const waitsLeft = [...waits];
  const noted: (string | undefined)[] = [];
  const failed: string[] = [];
  const stopping = new AbortController();
  let nowMs = 0;
  let reserved = 0;
  const check = createInstanceCheck({
    ledger: {
      async reserveStateCall() {
        reserved += 1;
        const waitMs = waitsLeft.shift() ?? 0;
        if (waitMs < 0) throw new Error("Postgres is away");
        nowMs += reserved === 1 ? lateMs : 0;
        return waitMs;
      },
      noteState: async (_id, state) => void noted.push(state),
    },
    getState: async () => told.shift() ?? unanswered,
    policy,
    clock: { now: () => nowMs },
    events: { instanceChecked: () => undefined, ledgerFailed: ({ where }) => failed.push(where) },
    signal: stopping.signal,
  });
  return { check, noted, failed, stopping, countReserved: () => reserved };
}

describe("a look at an instance's state", () => {
  test("believes at once that it works, and keeps what it was told", async () => {
    const { check, noted, countReserved } = open([works]);
    expect(await check.confirm(instance, () => true)).toEqual({ kind: "works" });
    expect(noted).toEqual(["authorized"]);
    expect(countReserved()).toBe(1);
  });

  test.each<[string, StateReport[], string]>([
    ["that is told twice", [loggedOut, loggedOut], "not-authorized"],
    ["that nobody confirms", [loggedOut, unanswered], "not-authorized"],
    [
      "of which nobody can tell a second time",
      [loggedOut, { kind: "throttled", retryAfterMs: 0 }],
      "not-authorized",
    ],
    [
      "that has become another",
      [loggedOut, { kind: "state", state: "starting", verdict: "waits" }],
      "starting",
    ],
  ])("believes in trouble %s", async (_name, reports, reason) => {
    const { check, countReserved } = open(reports);
    expect(await check.confirm(instance, () => true)).toMatchObject({ kind: "trouble", hold: { reason } });
    expect(countReserved()).toBe(2);
  });

  test("does not believe in trouble that the second report knows nothing of", async () => {
    const { check } = open([loggedOut, works]);
    expect(await check.confirm(instance, () => true)).toEqual({ kind: "works" });
  });

  test("does not ask again when nobody needs to know any more", async () => {
    const { check, countReserved } = open([loggedOut, works]);
    await check.confirm(instance, () => false);
    expect(countReserved()).toBe(1);
  });

  test("takes another turn when its own has gone by", async () => {
    const { check, noted, countReserved } = open([works], { lateMs: 500 });
    await check.ask(instance);
    expect(countReserved()).toBe(2);
    expect(noted).toHaveLength(1);
  });

  test("finds out nothing while Postgres is away, or when it is told to stop", async () => {
    const away = open([works], { waits: [-1] });
    expect(await away.check.ask(instance)).toEqual({ kind: "untold" });
    expect(away.failed).toEqual(["reserve state call"]);
    const stopped = open([works], { waits: [600_000] });
    const finding = stopped.check.ask(instance);
    stopped.stopping.abort();
    expect(await finding).toEqual({ kind: "untold" });
    expect(stopped.noted).toEqual([]);
  });
});
