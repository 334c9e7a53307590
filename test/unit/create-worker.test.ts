import { expect, test } from "vitest";
import type { LookupRecord } from "../../src/domain/ledger/lookup-record.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { sleep } from "../../src/lib/deadline.ts";
import { createWorker, type WorkerEvents } from "../../src/worker/create-worker.ts";
import { eventually } from "../support/eventually.ts";
import { createGate } from "../support/gate.ts";
import { createFakeRunLedger } from "../support/fake-run-ledger.ts";
import { defaultRefreshPolicy } from "../support/refresh.ts";

const instanceId = "1101000001" as InstanceId;
const policy = { maxAttempts: 5, retryBaseMs: 0, retryMaxMs: 0, probeBaseMs: 15_000, probeMaxMs: 600_000 };
/** Enough to blame the instance, if the look told nothing. */
const contacts = 9;
const noEvents = new Proxy({} as WorkerEvents, { get: () => () => undefined });

/** What the workers of all tests have in common. */
const usual = {
  openToken: () => "token",
  wakeAfter: () => undefined,
  clock: performance,
  random: () => 0,
  settings: {
    sliceMs: 60_000,
    maxInFlight: undefined,
    oldestShare: 0,
    retry: policy,
    probe: policy,
    refresh: defaultRefreshPolicy,
  },
};

test("a worker that is stopped while it looks at an instance's state releases who is in doubt, and holds nothing", async () => {
  const ledger = createFakeRunLedger({ requestsPerSecond: 1_000, maxInFlight: 20 }, contacts);
  const saved: LookupRecord[] = [];
  const allSent = createGate();
  let sent = 0;
  let held = 0;
  let looks = 0;
  const worker = createWorker({
    ...usual,
    ledger: {
      ...ledger,
      async saveLookups(records) {
        saved.push(...records);
        return ledger.saveLookups(records);
      },
      async holdInstance() {
        held += 1;
        return undefined;
      },
    },
    owner: "me",
    isTransient: () => false,
    async getAvatar(_instance, _chatId, { signal }) {
      sent += 1;
      if (sent === contacts) {
        allSent.open();
        await sleep(60_000, signal);
        // Hanging up takes its time, too.
        await sleep(50);
        return { outcome: { kind: "network-error", scope: "call", code: "ABORTED" }, tookMs: 1 };
      }
      await allSent.opened;
      return { outcome: { kind: "unauthorized", scope: "instance", status: 401 }, tookMs: 1 };
    },
    async getState(_instance, { signal }) {
      looks += 1;
      await sleep(60_000, signal);
      return { kind: "unanswered", code: "ABORTED" };
    },
    othersWait: async () => false,
    events: noEvents,
  });
  const stopping = new AbortController();
  const ended = worker.run(instanceId, stopping.signal);
  await eventually(() => expect(looks).toBe(1));
  stopping.abort();
  await ended;
  await worker.stop(0);
  expect(saved.map(({ decision }) => decision.kind)).toEqual(Array(contacts).fill("release"));
  expect(held).toBe(0);
});

test("a contact whose answer cannot be saved now is in flight until then: no other run asks for it, here or elsewhere", async () => {
  const ledger = createFakeRunLedger({ requestsPerSecond: 1_000, maxInFlight: 20 }, 1);
  const away = new Error("Postgres is away");
  const back = createGate();
  const saved: number[] = [];
  let asked = 0;
  let isAway = true;
  const worker = createWorker({
    ...usual,
    ledger: {
      ...ledger,
      async saveLookups(records) {
        if (isAway) throw away;
        saved.push(...records.map(({ contactId }) => contactId));
        back.open();
        return { setAside: new Set(), left: new Set(), imageWanted: new Set() };
      },
    },
    owner: "me",
    isTransient: (error) => error === away,
    async getAvatar() {
      asked += 1;
      return { outcome: { kind: "absent", scope: "chat" }, tookMs: 1 };
    },
    getState: async () => ({ kind: "unanswered", code: "ABORTED" }),
    othersWait: async () => true,
    events: noEvents,
  });
  const stopping = new AbortController();
  for (let runs = 1; runs <= 2; runs += 1) {
    expect(await worker.run(instanceId, stopping.signal)).toBe("idle");
    expect(ledger.handedOver.map(({ inFlight }) => inFlight)).toEqual(
      // The mark of the first one lasts.
      Array.from({ length: runs }, (_, run) => (run === 0 ? [1] : [])),
    );
  }
  expect(worker.callsInFlight()).toBe(0);
  expect(asked).toBe(1);
  isAway = false;
  await back.opened;
  stopping.abort();
  await worker.stop(0);
  expect(saved).toEqual([1]);
});

test("a call that was not sent is no call: its contact is asked again, and nothing is written of it", async () => {
  const kept = new Set<string>();
  const ledger = createFakeRunLedger({ requestsPerSecond: 1_000, maxInFlight: 20 }, 3);
  const saved: LookupRecord[] = [];
  const counted: string[] = [];
  const lookedUp: WorkerEvents["lookedUp"] = ({ lookup }) => void counted.push(lookup.outcome.kind);
  const events = new Proxy({ lookedUp } as WorkerEvents, {
    get: (known, name) => (name === "lookedUp" ? known.lookedUp : () => undefined),
  });
  const worker = createWorker({
    ...usual,
    ledger: {
      ...ledger,
      async saveLookups(records) {
        saved.push(...records);
        return ledger.saveLookups(records);
      },
    },
    isTransient: () => false,
    owner: "this process",
    // Each connection opens too late once, but for that of the second contact.
    async getAvatar(_instance, chatId, { mayLeave }) {
      const isLate = !chatId.endsWith("2@c.us") && !kept.has(chatId);
      kept.add(chatId);
      if (isLate || !mayLeave()) return { outcome: { kind: "not-sent" }, tookMs: 1 };
      return { outcome: { kind: "absent", scope: "chat" }, tookMs: 1 };
    },
    getState: async () => ({ kind: "unanswered", code: "ABORTED" }),
    othersWait: async () => false,
    events,
  });
  const stopping = new AbortController();
  await worker.run(instanceId, stopping.signal);
  await worker.stop(60_000);
  const decisions = saved.toSorted((a, b) => a.contactId - b.contactId).map(({ decision }) => decision);
  const answer = { kind: "answer", status: "absent" };
  expect(decisions).toMatchObject([answer, answer, answer]);
  expect(counted).toEqual(["absent", "absent", "absent"]);
});
