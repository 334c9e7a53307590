import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { refusalsForHold } from "../../src/domain/pace/refusal-constants.ts";
import { createSecretBox, type SealContext } from "../../src/lib/secrets/secret-box.ts";
import type { ScriptedAnswer } from "../../src/simulator/world/scripts.ts";
import type { Method } from "../../src/simulator/world/simulator-options.ts";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import type { InstanceSettings } from "../support/stage.ts";
import {
  chats,
  isPending,
  known,
  maxInFlight,
  openMovableSimulator,
  openTroubleStage,
  probeBaseMs,
  type TroubleStage,
} from "../support/trouble-stage.ts";

/** Within the first hour of a month, UTC: when quotas are reset, and a provider may be late with it. */
function isStartOfMonth(moment: Date): boolean {
  const hours = new Date(moment.getTime() + 1_000);
  return hours.getUTCDate() === 1 && hours.getUTCHours() === 0;
}

const isResetTime = isStartOfMonth(new Date());

interface Cause {
  readonly name: string;
  readonly reason: string;
  /** Calls that may tell of the trouble before it is believed, on top of those in flight at the first sign. */
  readonly signs: number;
  /** The sign alone could be wrong, or a single chat's: getStateInstance is asked before the instance is held. */
  readonly isAsked: boolean;
  readonly settings?: InstanceSettings;
  /** Nothing is tried before the provider's quota is reset. */
  readonly untilNextMonth?: boolean;
  begin(stage: TroubleStage, id: string): void | Promise<void>;
  /** On top of what makes any instance well. */
  end?(stage: TroubleStage, id: string): void | Promise<void>;
}

const answering =
  (answer: ScriptedAnswer, methods?: readonly Method[]) => (stage: TroubleStage, id: string) =>
    stage.answerAll(id, answer, methods);
const inState = (state: string) => (stage: TroubleStage, id: string) => stage.simulator.setState(id, state);
const told = (message: string) => ({ status: 400, body: JSON.stringify({ statusCode: 400, message }) });

/** A few signs, for a getAvatar that had one on its way already. */
const few = 3;
/** A run of failures, each of which says nothing sure. */
const run = 12;
/** So many are seen to fail at once, on a busy machine too; one by one they would be taken for the contacts' fault. */
const runAtOnce = { maxInFlight: run };

const causes: Cause[] = [
  {
    name: "a wrong token",
    reason: "unauthorized",
    signs: few,
    isAsked: true,
    begin: (stage, id) => stage.simulator.setToken("another", id),
  },
  { name: "a 403", reason: "unauthorized", signs: few, isAsked: true, begin: answering("forbidden-403") },
  {
    name: "a 401 disguised in a 200",
    reason: "unauthorized",
    signs: few,
    isAsked: true,
    begin: answering("disguised-401"),
  },
  {
    name: "a 401 while nobody tells the state",
    reason: "unauthorized",
    signs: few,
    isAsked: true,
    begin(stage, id) {
      stage.answerAll(id, "unauthorized-401", ["getAvatar"]);
      stage.answerAll(id, "server-error-500", ["getStateInstance"]);
    },
  },
  {
    name: "a 403 for all chats of an instance that is said to work",
    reason: "unauthorized",
    signs: 2 * few,
    isAsked: true,
    begin: answering("forbidden-403", ["getAvatar"]),
  },
  { name: "404s", reason: "not-found", signs: few, isAsked: true, begin: answering("not-found-404") },
  {
    name: "404s of an instance that is said to work",
    reason: "not-found",
    signs: 2 * few,
    isAsked: true,
    begin: answering("not-found-404", ["getAvatar"]),
  },
  {
    name: "logged out",
    reason: "not-authorized",
    signs: few,
    isAsked: true,
    begin: inState("notAuthorized"),
  },
  {
    name: "waiting for a code",
    reason: "not-authorized",
    signs: few,
    isAsked: true,
    begin: inState("pendingCode"),
  },
  { name: "blocked by its state", reason: "blocked", signs: few, isAsked: true, begin: inState("blocked") },
  {
    name: "starting by its state",
    reason: "starting",
    signs: few,
    isAsked: true,
    begin(stage, id) {
      stage.simulator.setState(id, "starting");
      stage.answerAll(id, "not-authorized-400", ["getAvatar"]);
    },
  },
  {
    name: "starting by its words",
    reason: "starting",
    signs: few,
    isAsked: false,
    begin: inState("starting"),
  },
  { name: "expired", reason: "expired", signs: few, isAsked: false, begin: inState("expired") },
  { name: "deleted", reason: "deleted", signs: few, isAsked: false, begin: inState("deleted") },
  {
    name: "blocked by its words",
    reason: "blocked",
    signs: few,
    isAsked: false,
    begin: answering(told("Instance account is blocked"), ["getAvatar"]),
  },
  {
    name: "a spent quota",
    reason: "quota-exhausted",
    signs: few,
    isAsked: false,
    untilNextMonth: !isResetTime,
    begin: answering("quota-466", ["getAvatar"]),
  },
  {
    name: "5xx only, whatever is asked",
    reason: "failing",
    signs: run,
    isAsked: true,
    begin: answering("unavailable-503"),
  },
  {
    name: "5xx only, of an instance that is said to work",
    reason: "failing",
    signs: run,
    isAsked: true,
    begin: answering("server-error-500", ["getAvatar"]),
  },
  {
    name: "connections reset",
    reason: "failing",
    signs: run,
    isAsked: true,
    begin: answering("connection-reset"),
  },
  {
    name: "pages of a proxy only",
    reason: "failing",
    signs: run,
    isAsked: true,
    begin: answering("html-200"),
  },
  {
    name: "timeouts told by the provider",
    reason: "timing-out",
    settings: runAtOnce,
    signs: 2 * run,
    isAsked: true,
    begin: answering("chat-timeout", ["getAvatar"]),
  },
  {
    name: "a provider that does not answer in time",
    reason: "timing-out",
    settings: runAtOnce,
    signs: 2 * run,
    isAsked: true,
    begin: answering("stall", ["getAvatar"]),
  },
  {
    name: "429s without end",
    reason: "throttled",
    // In a row, each of a call that was sent after the one before; others are on their way meanwhile.
    signs: refusalsForHold * 2 * maxInFlight,
    isAsked: false,
    begin: answering("throttled-429", ["getAvatar"]),
  },
  {
    name: "a token that cannot be read",
    reason: "token-unreadable",
    signs: -maxInFlight,
    isAsked: false,
    begin: (stage, id) =>
      stage.setInstance(id, "sealed_token", sealWith(8, { id, apiUrl: stage.simulator.url })),
    end: (stage, id) =>
      stage.setInstance(id, "sealed_token", sealWith(7, { id, apiUrl: stage.simulator.url })),
  },
];
const quotas = causes.filter(({ untilNextMonth }) => untilNextMonth);
const probed = causes.filter(({ untilNextMonth }) => !untilNextMonth);
const asked = causes.filter(({ isAsked }) => isAsked);

const toNamed = (those: readonly Cause[]) => those.map(({ name }) => [name] as const);

/** With the key of the stage (7), or with another. */
function sealWith(byte: number, context: SealContext): string {
  return createSecretBox(Buffer.alloc(32, byte)).seal("anything", context);
}

/** The simulator's list of those that still work. */
const listed = ["79000000001@c.us", "79000000002@c.us", "79000000003@c.us"];

/** A spent quota of correspondents: the chats of the provider's list, and they alone, are asked while it is held. */
async function liveWithCorrespondents(stage: TroubleStage, id: string): Promise<void> {
  stage.answerAll(id, "correspondents-466", ["getAvatar"]);
  for (const chatId of listed) {
    stage.simulator.setTruth({ instanceId: id, chatId, kind: "present" });
    stage.simulator.script({ instanceId: id, chatId, answers: ["present"], times: "forever" });
  }
  await stage.enqueue(id, chats);
  await eventually(async () => {
    const { state, heldReason } = await stage.readInstance(id);
    expect({ state, heldReason }).toEqual({ state: "held", heldReason: "correspondents-exhausted" });
  });
  await stage.enqueue(id, listed);
  await eventually(async () => {
    const contacts = await stage.readContacts(id);
    const answered = contacts.filter(({ status }) => status === "present").map(({ chatId }) => chatId);
    expect(answered).toEqual(listed);
  });
  const row = await stage.readInstance(id);
  expect(row).toMatchObject({ state: "held", heldReason: "correspondents-exhausted" });
  if (!isResetTime) expect(isStartOfMonth(row.heldUntil ?? new Date(0))).toBe(true);
  const others = stage.readCalls(id).filter(({ chatId }) => !listed.includes(chatId));
  expect(others.length).toBeLessThanOrEqual(maxInFlight + few + row.holdCount);
  const waiting = (await stage.readContacts(id)).filter(({ pending }) => pending);
  expect(waiting.map(({ chatId }) => chatId)).toEqual(chats);
  expect(waiting.filter(({ attempts, status }) => attempts > 0 || status !== "unknown")).toEqual([]);
  // Other people's ids.
  for (const chatId of listed) expect(stage.printed()).not.toContain(chatId.slice(0, 11));

  stage.makeWell(id);
  await stage.setInstance(id, "held_until", new Date());
  await stage.expectAllAnswered(id, [...listed, ...chats]);
}

/** Nobody listens at the provider's address for a while. */
async function liveWithoutProvider(
  stage: TroubleStage,
  id: string,
  chatIds: readonly string[],
): Promise<void> {
  const provider = await openMovableSimulator();
  await provider.close();
  await stage.run(["instance", "set", id, "--url", provider.url]);
  await stage.enqueue(id, chatIds);
  await eventually(async () => {
    const { state, heldReason, holdCount } = await stage.readInstance(id);
    expect({ state, heldReason }).toEqual({ state: "held", heldReason: "failing" });
    // More probes than a contact has attempts.
    expect(holdCount).toBeGreaterThanOrEqual(6);
  });
  await eventually(async () => {
    const contacts = await stage.readContacts(id);
    const isAsBefore = contacts.map(({ attempts, status, pending }) => ({ attempts, status, pending }));
    expect(isAsBefore).toEqual(chatIds.map(() => ({ attempts: 0, status: "unknown", pending: true })));
  });
  const simulator = await provider.open();
  await stage.expectAllAnswered(id, chatIds);
  await simulator.close();
}

/** What is seen of one trouble, step by step. All begin at the same time and share one worker. */
interface Life {
  readonly id: string;
  readonly held: Promise<void>;
  readonly unharmed: Promise<void>;
  readonly probed: Promise<void>;
  readonly recovered: Promise<void>;
}

describe.each(listBackends())("the breaker with the queue in $name", (backend) => {
  let stage: TroubleStage;
  let healthy = "";
  let healthyAnswered: Promise<void>;
  const lives = new Map<string, Life>();
  let withCorrespondents: Promise<void>;
  let withoutProvider: Promise<unknown>;

  beforeAll(async () => {
    stage = await openTroubleStage({ backend, env: { AVATARS_CALL_TIMEOUT_MS: "1500" } });
    const ids: string[] = [];
    for (const { settings } of causes) ids.push(await add(settings));
    healthy = await add();
    for (const id of [...ids, healthy]) await stage.enqueue(id, known);
    await stage.startReadWorker();
    for (const id of [...ids, healthy]) {
      await eventually(async () => expect(await stage.countPending(id)).toBe(0));
    }
    stage.simulator.clearLog();
    for (const [index, cause] of causes.entries()) await cause.begin(stage, ids[index]!);
    for (const id of [...ids, healthy]) await stage.enqueue(id, chats);
    healthyAnswered = settle(stage.expectAllAnswered(healthy));
    for (const [index, cause] of causes.entries()) lives.set(cause.name, live(cause, ids[index]!));
    withCorrespondents = settle(liveWithCorrespondents(stage, await add()));
    const few = [await add(), await add()] as const;
    withoutProvider = settle(
      Promise.all([
        liveWithoutProvider(stage, few[0], chats),
        liveWithoutProvider(stage, few[1], chats.slice(0, 3)),
      ]),
    );
  });

  afterAll(async () => {
    const recovered = [...lives.values()].map((life) => life.recovered);
    await Promise.allSettled([...recovered, withCorrespondents, withoutProvider]);
    await stage.close();
  });

  async function add(settings?: InstanceSettings): Promise<string> {
    const id = stage.newId();
    await stage.addInstance(id, settings);
    return id;
  }

  const getLife = (name: string): Life => {
    const life = lives.get(name);
    if (life === undefined) throw new Error(`no life of ${name}`);
    return life;
  };

  function live(cause: Cause, id: string): Life {
    const held = settle(watchHold(cause, id));
    const unharmed = settle(held.then(() => stage.expectNobodyHarmed(id)));
    const probed = settle(unharmed.then(() => (cause.untilNextMonth ? undefined : watchProbes(id))));
    // The healthy one is done while all others are in trouble.
    const mended = Promise.all([probed, healthyAnswered]).then(() => mend(cause, id));
    return { id, held, unharmed, probed, recovered: settle(mended) };
  }

  async function watchHold({ reason, signs, isAsked }: Cause, id: string): Promise<void> {
    await eventually(async () => expect((await stage.readInstance(id)).state).toBe("held"));
    if (isAsked) expect(stage.readStateCalls(id).length).toBeGreaterThan(0);
    // Some of the calls are probes after holds of their own.
    const calls = stage.readCalls(id).length;
    const { heldReason, holdCount } = await stage.readInstance(id);
    expect(heldReason).toBe(reason);
    expect(calls - holdCount).toBeLessThanOrEqual(maxInFlight + signs);
    await eventually(async () => {
      const status = await stage.readTold(id);
      expect(status).toMatchObject({ state: "held", heldReason: reason, waiting: 0 });
      expect(Number.isNaN(Date.parse(status.heldUntil ?? ""))).toBe(false);
      expect(status.due + status.claimed).toBe(chats.length);
    });
  }

  async function watchProbes(id: string): Promise<void> {
    await eventually(async () => expect((await stage.readInstance(id)).holdCount).toBeGreaterThanOrEqual(2));
    const from = Math.max(0, stage.readCalls(id).length - 1);
    await eventually(async () => expect((await stage.readInstance(id)).holdCount).toBeGreaterThanOrEqual(4));
    const probes = stage
      .readCalls(id)
      .slice(from)
      .filter((call) => !isPending(call));
    for (const [index, probe] of probes.slice(1).entries()) {
      const before = probes[index]!;
      // One at a time, and the second hold in a row is twice as long as the first.
      const pauseMs = probe.at - (before.at + before.tookMs);
      expect(pauseMs).toBeGreaterThan(1.5 * probeBaseMs);
    }
  }

  async function mend(cause: Cause, id: string): Promise<void> {
    const from = stage.readCalls(id).length;
    stage.makeWell(id);
    await cause.end?.(stage, id);
    if (cause.untilNextMonth) {
      // Not even a probe.
      expect(from).toBeLessThanOrEqual(maxInFlight + cause.signs);
      await stage.setInstance(id, "held_until", new Date());
    }
    await stage.expectAllAnswered(id);
    const { state, holdCount, heldReason } = await stage.readInstance(id);
    expect({ state, holdCount, heldReason }).toEqual({ state: "active", holdCount: 0, heldReason: null });
    expect(stage.countLogged(id, "instance works again")).toBe(1);
    const [first, ...rest] = stage.readCalls(id).slice(from);
    const answeredAt = (first?.at ?? 0) + (first?.tookMs ?? 0);
    // One a second, then two, then four.
    expect(rest.filter(({ at }) => at < answeredAt + 1_000).length).toBeLessThanOrEqual(few);
  }

  test.each(toNamed(causes))("%s: held after its first signs, with its reason", (name) => getLife(name).held);

  test.each(toNamed(asked))("%s: getStateInstance is asked, and at most once a second", async (name) => {
    const { id, probed } = getLife(name);
    await probed;
    const stateCalls = stage.readStateCalls(id);
    expect(stateCalls.length).toBeGreaterThan(0);
    expect(stateCalls.filter(({ outcome }) => outcome === "limited")).toEqual([]);
  });

  test.each(toNamed(causes))("%s: no contact spends an attempt or loses what it had", (name) => {
    return getLife(name).unharmed;
  });

  test("an instance that is well is answered meanwhile", async () => {
    await healthyAnswered;
    expect(stage.countLogged(healthy, "instance held")).toBe(0);
  });

  test.each(toNamed(probed))("%s: probed by one call at a time, after longer and longer holds", (name) => {
    return getLife(name).probed;
  });

  test.each(toNamed(quotas))("%s: held until the first of next month", async (name) => {
    const { id, held } = getLife(name);
    await held;
    // Read from the log: the test itself ends the hold at last.
    const until = stage
      .printed()
      .split("\n")
      .filter((line) => line.includes("instance held") && line.includes(id))
      .map((line) => new Date((JSON.parse(line) as { until: string }).until));
    expect(until.length).toBeGreaterThan(0);
    for (const moment of until) expect(isStartOfMonth(moment)).toBe(true);
  });

  test.each(toNamed(causes))("%s: when it is over, calls begin slowly and all are answered", (name) => {
    return getLife(name).recovered;
  });

  test("a spent quota of correspondents leaves the chats that are listed, and they alone, to be asked", async () => {
    await withCorrespondents;
  });

  test("while nobody listens no contact fails, however few there are, and then all are answered", async () => {
    await withoutProvider;
  });
});

/** Marks the promise as looked after: the test that awaits it tells. */
function settle<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
