import { expect, test } from "vitest";
import { eventually } from "./eventually.ts";
import type { InstanceSettings } from "./stage.ts";
import { chats, isPending, known, maxInFlight, probeBaseMs, type TroubleStage } from "./trouble-stage.ts";

/** A trouble of an instance, and what is to be seen of it. */
export interface Cause {
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

/** A few signs, for a getAvatar that had one on its way already. */
export const few = 3;
/** A run of failures, each of which says nothing sure. */
export const run = 12;
/** So many are seen to fail at once, on a busy machine too; one by one they would be taken for the contacts' fault. */
export const runAtOnce = { maxInFlight: run };

/** What is seen of one trouble, step by step. All begin at the same time and share one worker. */
interface Life {
  readonly id: string;
  readonly held: Promise<void>;
  readonly unharmed: Promise<void>;
  readonly probed: Promise<void>;
  readonly recovered: Promise<void>;
}

/** Lives of causes that share one worker, beside an instance that is well. */
export interface Lives {
  readonly stage: TroubleStage;
  readonly healthy: string;
  readonly healthyAnswered: Promise<void>;
  find(name: string): Life;
  /** Resolves when all are over, however they end. */
  end(): Promise<unknown>;
}

export async function openLives(stage: TroubleStage, those: readonly Cause[]): Promise<Lives> {
  const begun = await Promise.all(
    those.map(async (cause) => ({ cause, id: await add(stage, cause.settings) })),
  );
  const healthy = await add(stage);
  const ids = [...begun.map(({ id }) => id), healthy];
  for (const id of ids) await stage.enqueue(id, known);
  await stage.startReadWorker();
  for (const id of ids) await eventually(async () => expect(await stage.countPending(id)).toBe(0));
  stage.simulator.clearLog();
  for (const { cause, id } of begun) await cause.begin(stage, id);
  for (const id of ids) await stage.enqueue(id, chats);
  const healthyAnswered = settle(stage.expectAllAnswered(healthy));
  const lives = new Map(begun.map(({ cause, id }) => [cause.name, live(stage, cause, id, healthyAnswered)]));
  return {
    stage,
    healthy,
    healthyAnswered,
    find(name) {
      const life = lives.get(name);
      if (life === undefined) throw new Error(`no life of ${name}`);
      return life;
    },
    end: () => Promise.allSettled([...lives.values()].map(({ recovered }) => recovered)),
  };
}

export async function add(stage: TroubleStage, settings?: InstanceSettings): Promise<string> {
  const id = stage.newId();
  await stage.addInstance(id, settings);
  return id;
}

function live(stage: TroubleStage, cause: Cause, id: string, healthyAnswered: Promise<void>): Life {
  const held = settle(watchHold(stage, cause, id));
  const unharmed = settle(held.then(() => stage.expectNobodyHarmed(id)));
  const probed = settle(unharmed.then(() => (cause.untilNextMonth ? undefined : watchProbes(stage, id))));
  // The healthy one is done while all others are in trouble.
  const mended = Promise.all([probed, healthyAnswered]).then(() => mend(stage, cause, id));
  return { id, held, unharmed, probed, recovered: settle(mended) };
}

async function watchHold(stage: TroubleStage, { reason, signs, isAsked }: Cause, id: string): Promise<void> {
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

async function watchProbes(stage: TroubleStage, id: string): Promise<void> {
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

async function mend(stage: TroubleStage, cause: Cause, id: string): Promise<void> {
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

/** What is to be seen of every trouble. */
export function testLives(those: readonly Cause[], getLives: () => Lives): void {
  const asked = those.filter(({ isAsked }) => isAsked);
  const probed = those.filter(({ untilNextMonth }) => !untilNextMonth);

  test.each(toNamed(those))("%s: held after its first signs, with its reason", (name) => {
    return getLives().find(name).held;
  });

  test.each(toNamed(asked))("%s: getStateInstance is asked, and at most once a second", async (name) => {
    const { stage, find } = getLives();
    const { id, probed: wasProbed } = find(name);
    await wasProbed;
    const stateCalls = stage.readStateCalls(id);
    expect(stateCalls.length).toBeGreaterThan(0);
    expect(stateCalls.filter(({ outcome }) => outcome === "limited")).toEqual([]);
  });

  test.each(toNamed(those))("%s: no contact spends an attempt or loses what it had", (name) => {
    return getLives().find(name).unharmed;
  });

  test("an instance that is well is answered meanwhile", async () => {
    const { stage, healthy, healthyAnswered } = getLives();
    await healthyAnswered;
    expect(stage.countLogged(healthy, "instance held")).toBe(0);
  });

  test.each(toNamed(probed))("%s: probed by one call at a time, after longer and longer holds", (name) => {
    return getLives().find(name).probed;
  });

  test.each(toNamed(those))("%s: when it is over, calls begin slowly and all are answered", (name) => {
    return getLives().find(name).recovered;
  });
}

/** Marks the promise as looked after: the test that awaits it tells. */
export function settle<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Names for `test.each`. */
export const toNamed = (those: readonly Cause[]) => those.map(({ name }) => [name] as const);
