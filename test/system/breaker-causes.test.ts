import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { refusalsForHold } from "../../src/domain/pace/refusal-constants.ts";
import { createSecretBox, type SealContext } from "../../src/lib/secrets/secret-box.ts";
import type { ScriptedAnswer } from "../../src/simulator/world/scripts.ts";
import type { Method } from "../../src/simulator/world/simulator-options.ts";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import {
  add,
  few,
  openLives,
  run,
  runAtOnce,
  settle,
  testLives,
  toNamed,
  type Cause,
  type Lives,
} from "../support/trouble-lives.ts";
import {
  chats,
  maxInFlight,
  openMovableSimulator,
  openTroubleStage,
  type TroubleStage,
} from "../support/trouble-stage.ts";

/** Within the first hour of a month, UTC: when quotas are reset, and a provider may be late with it. */
function isStartOfMonth(moment: Date): boolean {
  const hours = new Date(moment.getTime() + 1_000);
  return hours.getUTCDate() === 1 && hours.getUTCHours() === 0;
}

const isResetTime = isStartOfMonth(new Date());

const answering =
  (answer: ScriptedAnswer, methods?: readonly Method[]) => (stage: TroubleStage, id: string) =>
    stage.answerAll(id, answer, methods);
const inState = (state: string) => (stage: TroubleStage, id: string) => stage.simulator.setState(id, state);
const told = (message: string) => ({ status: 400, body: JSON.stringify({ statusCode: 400, message }) });

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

describe.each(listBackends())("the breaker with the queue in $name", (backend) => {
  let stage: TroubleStage;
  let lives: Lives;
  let withCorrespondents: Promise<void>;
  let withoutProvider: Promise<unknown>;

  beforeAll(async () => {
    stage = await openTroubleStage({ backend });
    lives = await openLives(stage, causes);
    withCorrespondents = settle(liveWithCorrespondents(stage, await add(stage)));
    const several = [await add(stage), await add(stage)] as const;
    withoutProvider = settle(
      Promise.all([
        liveWithoutProvider(stage, several[0], chats),
        liveWithoutProvider(stage, several[1], chats.slice(0, 3)),
      ]),
    );
  });

  afterAll(async () => {
    await Promise.allSettled([lives.end(), withCorrespondents, withoutProvider]);
    await stage.close();
  });

  testLives(causes, () => lives);

  test.each(toNamed(quotas))("%s: held until the first of next month", async (name) => {
    const { id, held } = lives.find(name);
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

  test("a spent quota of correspondents leaves the chats that are listed, and they alone, to be asked", async () => {
    await withCorrespondents;
  });

  test("while nobody listens no contact fails, however few there are, and then all are answered", async () => {
    await withoutProvider;
  });
});
