import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { initialMarginMs } from "../../src/domain/pace/refusal-constants.ts";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { toAnswers, toTruths, type InstanceSettings } from "../support/stage.ts";
import {
  chats,
  isPending,
  known,
  maxInFlight,
  openTroubleStage,
  type TroubleStage,
} from "../support/trouble-stage.ts";

const maxAttempts = 5;
const odd = chats[3]!;

/** Something that looks like trouble of the instance, or nearly is. */
interface Doubt {
  readonly name: string;
  readonly settings?: InstanceSettings;
  /** What is asked for; all by default. */
  readonly asked?: readonly string[];
  begin(stage: TroubleStage, id: string): void;
  /** Resolves when it has ended as it must. */
  expectEnd(stage: TroubleStage, id: string): Promise<void>;
}

const expectNeverHeld = (stage: TroubleStage, id: string) => {
  expect(stage.countLogged(id, "instance held")).toBe(0);
};

/** All but one have their answers; that one has spent its attempts, and keeps the avatar it had. */
async function expectOneUnreachable(
  stage: TroubleStage,
  id: string,
  asked: readonly string[],
): Promise<void> {
  await eventually(async () => expect(await stage.countPending(id)).toBe(0));
  const contacts = (await stage.readContacts(id)).filter(({ chatId }) => asked.includes(chatId));
  const wanted = toTruths(stage.simulator, id, asked).map((truth) =>
    truth.chatId === odd ? { ...truth, status: "unreachable" } : truth,
  );
  expect(toAnswers(contacts)).toEqual(wanted);
  expect(contacts.find(({ chatId }) => chatId === odd)).toMatchObject({ attempts: maxAttempts });
}

async function expectAllAnsweredAtOnce(stage: TroubleStage, id: string): Promise<void> {
  await stage.expectAllAnswered(id);
  expectNeverHeld(stage, id);
  expect((await stage.readInstance(id)).state).toBe("active");
}

/** The call that counts is the one with the answer. */
async function expectNoAttemptSpent(stage: TroubleStage, id: string): Promise<void> {
  const contacts = await stage.readContacts(id);
  expect(contacts.filter(({ attempts }) => attempts !== 1)).toEqual([]);
}

/** Nothing is on its way any more. */
async function expectStill(stage: TroubleStage, id: string): Promise<void> {
  await eventually(async () => {
    expect(stage.readCalls(id).filter(isPending)).toEqual([]);
    expect((await stage.readContacts(id)).filter(({ inFlight }) => inFlight)).toEqual([]);
  });
}

const pauses = (
  ["unauthorized-401", "not-authorized-400", "server-error-500", "throttled-429", "present"] as const
).map((outcome): Doubt => ({
  name: `an instance that is paused stays so when calls in flight are answered ${outcome}`,
  // Longer than a worker may take to go by a pause: it comes while the first of them are under way.
  begin: (stage, id) => stage.answerAll(id, { outcome, delayMs: 4_000 }, ["getAvatar"]),
  async expectEnd(stage, id) {
    await eventually(() => expect(stage.readCalls(id).length).toBeGreaterThan(0));
    await stage.setInstance(id, "state", "paused");
    await expectStill(stage, id);
    const { state, heldReason } = await stage.readInstance(id);
    expect({ state, heldReason }).toEqual({ state: "paused", heldReason: null });
    expect(stage.readCalls(id).length).toBeLessThanOrEqual(2 * maxInFlight);
  },
}));

const doubts: Doubt[] = [
  ...pauses,
  {
    name: "an instance that is paused while it is held is not probed, and goes on when it is resumed",
    begin: (stage, id) => stage.simulator.setState(id, "notAuthorized"),
    async expectEnd(stage, id) {
      await eventually(async () =>
        expect((await stage.readInstance(id)).holdCount).toBeGreaterThanOrEqual(2),
      );
      await stage.setInstance(id, "state", "paused");
      await expectStill(stage, id);
      const calls = stage.readCalls(id).length;
      stage.makeWell(id);
      for (let round = 0; round < 2; round += 1) {
        // Time enough for a call, had one been wanted.
        const other = stage.newId();
        await stage.addInstance(other);
        await stage.enqueue(other, known);
        await stage.expectAllAnswered(other, known);
      }
      expect(stage.readCalls(id)).toHaveLength(calls);
      expect((await stage.readInstance(id)).state).toBe("paused");
      await stage.setInstance(id, "state", "active");
      await stage.expectAllAnswered(id);
    },
  },
  {
    name: "a lone 404 does not hold the instance",
    begin: (stage, id) => stage.simulator.script({ instanceId: id, answers: ["not-found-404"] }),
    expectEnd: expectAllAnsweredAtOnce,
  },
  {
    name: "a state that is wrong once does not hold the instance: it is asked a second time",
    // With others in flight, their answers alone would tell.
    settings: { maxInFlight: 1 },
    begin(stage, id) {
      stage.simulator.script({ instanceId: id, answers: ["not-authorized-400"] });
      const body = JSON.stringify({ stateInstance: "notAuthorized" });
      stage.simulator.script({
        instanceId: id,
        method: "getStateInstance",
        answers: [{ status: 200, body }],
      });
    },
    async expectEnd(stage, id) {
      await expectAllAnsweredAtOnce(stage, id);
      const stateCalls = stage.readStateCalls(id);
      expect(stateCalls.length).toBeGreaterThanOrEqual(2);
      expect(stateCalls.filter(({ outcome }) => outcome === "limited")).toEqual([]);
    },
  },
  {
    name: "a state that is always wrong is overruled by answers",
    begin(stage, id) {
      stage.simulator.setState(id, "authorized", "notAuthorized");
      stage.simulator.script({ instanceId: id, answers: ["not-authorized-400"] });
    },
    async expectEnd(stage, id) {
      await stage.expectAllAnswered(id);
      await eventually(async () => expect((await stage.readInstance(id)).state).toBe("active"));
    },
  },
  {
    name: "a 401 for a single chat is that chat's, while the state is authorized and others are answered",
    begin: (stage, id) =>
      stage.simulator.script({
        instanceId: id,
        chatId: odd,
        answers: ["unauthorized-401"],
        times: "forever",
      }),
    async expectEnd(stage, id) {
      await expectOneUnreachable(stage, id, chats);
      expectNeverHeld(stage, id);
      expect(stage.readStateCalls(id).length).toBeGreaterThan(0);
    },
  },
  {
    name: "a contact that always fails, alone in the queue, does not hold an instance that is said to work for ever",
    asked: [odd],
    begin: (stage, id) =>
      stage.simulator.script({
        instanceId: id,
        chatId: odd,
        answers: ["server-error-500"],
        times: "forever",
      }),
    async expectEnd(stage, id) {
      await expectOneUnreachable(stage, id, [odd]);
      expect((await stage.readInstance(id)).state).toBe("active");
    },
  },
  {
    name: "a lone 429 does not hold the instance: no attempt is spent, and its margin grows",
    begin: (stage, id) => stage.simulator.script({ instanceId: id, answers: ["throttled-429"] }),
    async expectEnd(stage, id) {
      await expectAllAnsweredAtOnce(stage, id);
      await expectNoAttemptSpent(stage, id);
      const { marginMs, climbRate } = await stage.readInstance(id);
      expect(marginMs).toBeGreaterThan(initialMarginMs);
      expect(climbRate).toBeNull();
    },
  },
  {
    name: "Retry-After is waited for",
    settings: { rps: 50 },
    begin: (stage, id) => stage.simulator.script({ instanceId: id, answers: ["throttled-429-seconds"] }),
    async expectEnd(stage, id) {
      await expectAllAnsweredAtOnce(stage, id);
      await expectNoAttemptSpent(stage, id);
      const calls = stage.readCalls(id);
      const refused = calls.find(({ outcome }) => outcome === "throttled-429-seconds");
      const refusedAt = (refused?.at ?? 0) + (refused?.tookMs ?? 0);
      const meanwhile = calls.filter(({ at }) => at > refusedAt && at < refusedAt + 2_000);
      expect(refused).toBeDefined();
      expect(meanwhile.length).toBeLessThanOrEqual(maxInFlight);
      expect(calls.some(({ at }) => at >= refusedAt + 2_000)).toBe(true);
    },
  },
  {
    name: "429s that go on lower the pace",
    settings: { maxInFlight: 1 },
    begin: (stage, id) => stage.simulator.script({ instanceId: id, answers: ["throttled-429"], times: 8 }),
    async expectEnd(stage, id) {
      await expectAllAnsweredAtOnce(stage, id);
      await expectNoAttemptSpent(stage, id);
      // The first one widens the margin alone; those that were sent before it was written are old news.
      expect((await stage.readInstance(id)).climbRate).toBeGreaterThan(0);
    },
  },
  {
    name: "WhatsApp's own refusal lowers the pace at once",
    begin: (stage, id) => stage.simulator.script({ instanceId: id, answers: ["rate-overlimit"] }),
    async expectEnd(stage, id) {
      await expectAllAnsweredAtOnce(stage, id);
      await expectNoAttemptSpent(stage, id);
      expect((await stage.readInstance(id)).slowdown).toBeLessThan(1);
    },
  },
];

describe.each(listBackends())("with the queue in $name", (backend) => {
  let stage: TroubleStage;
  const ends = new Map<string, Promise<void>>();
  const ids = new Map<string, string>();

  beforeAll(async () => {
    stage = await openTroubleStage({ backend });
    for (const { name, settings, asked = chats } of doubts) {
      const id = stage.newId();
      await stage.addInstance(id, settings);
      ids.set(name, id);
      await stage.enqueue(id, asked.length === 1 ? asked : known);
    }
    await stage.startReadWorker();
    for (const id of ids.values()) {
      await eventually(async () => expect(await stage.countPending(id)).toBe(0));
    }
    stage.simulator.clearLog();
    for (const { name, asked = chats, begin, expectEnd } of doubts) {
      const id = ids.get(name) ?? "";
      begin(stage, id);
      await stage.enqueue(id, asked);
      const end = expectEnd(stage, id);
      end.catch(() => undefined);
      ends.set(name, end);
    }
  });

  afterAll(async () => {
    await Promise.allSettled(ends.values());
    await stage.close();
  });

  test.each(doubts.map(({ name }) => [name] as const))("%s", (name) => ends.get(name));
});
