import { slotSpacingMs, slotToleranceMs, type Pace } from "../../src/domain/pace/pacer.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { createLane } from "../../src/worker/run/lane.ts";

/** What a simulated process does next. All durations in ms of true time. */
export type Step =
  /** Reserves slots; the statement takes `there` to reach the row, `inside` to read the clock, `back` to be answered. */
  | {
      readonly kind: "reserve";
      readonly calls: number;
      readonly there: number;
      readonly inside: number;
      readonly back: number;
    }
  /** Sends up to `calls` in their slots, each timer late by one of `lateness` in turn; none left, it reserves anew. */
  | {
      readonly kind: "send";
      readonly calls: number;
      readonly lateness: readonly number[];
      /** How long each call waits for its connection before it leaves; nothing else goes meanwhile. */
      readonly connecting?: number;
    }
  /** Does nothing: a blocked event loop, a suspended machine. */
  | { readonly kind: "stall"; readonly ms: number }
  /** Refusals, recovery, an operator: from now on the row says another pace, never above the limit. */
  | { readonly kind: "pace"; readonly share: number; readonly marginMs: number }
  /** Dies; another process comes up in its place with slots of its own to reserve. */
  | { readonly kind: "crash"; readonly ms: number };

interface World {
  trueMs: number;
  nextCallAtMs: number;
  pacedBy: string | undefined;
  readonly sent: number[];
  pace: Pace;
  /** The most that it may ever be. */
  readonly limit: number;
  readonly gapMs: number;
}

/** As statements leave it in `instances`: claim-due-contacts.ts and reserve-calls.ts, in JavaScript. */
function reserve(world: World, laneId: string, calls: number) {
  const gapMs = world.pacedBy === laneId ? 0 : world.gapMs;
  const spacingMs = slotSpacingMs(world.pace);
  const slotsFromMs = Math.max(world.nextCallAtMs + gapMs, world.trueMs);
  world.nextCallAtMs = slotsFromMs + calls * spacingMs;
  world.pacedBy = laneId;
  return { slotsFromMs, slotsUntilMs: slotsFromMs + (calls - 1) * spacingMs, pace: world.pace };
}

/** One process as a series of pauses: it yields how long until it goes on. */
function* runProcess(world: World, clockOffsetMs: number, steps: readonly Step[]): Generator<number, void> {
  const clock = { now: () => world.trueMs + clockOffsetMs };
  const createOwnLane = () => createLane("1101000001" as InstanceId, clock);
  let lane = createOwnLane();

  function* reserveSlots(calls: number, there: number, inside: number, back: number) {
    const sentAt = clock.now();
    yield there;
    const slots = reserve(world, lane.id, calls);
    yield inside;
    const databaseNowMs = world.trueMs;
    yield back;
    lane.slots.add({ ...slots, databaseNowMs }, slots.pace, sentAt, clock.now());
  }

  /** As the instance run waits: it looks again after each wait, and sends without a pause once it may. */
  function* sendOne(late: number, connecting: number): Generator<number, boolean> {
    for (let looks = 0; ; looks += 1) {
      const at = lane.slots.nextAt();
      if (at === undefined) return false;
      if (at <= clock.now()) break;
      yield at - clock.now() + (looks === 0 ? late : 0);
    }
    const { onSent } = lane.slots.take();
    yield connecting;
    onSent();
    world.sent.push(world.trueMs);
    return true;
  }

  for (const step of steps) {
    if (step.kind === "stall") yield step.ms;
    if (step.kind === "pace") {
      world.pace = { requestsPerSecond: world.limit * step.share, marginMs: step.marginMs };
      // Whoever was refused knows it at once; the others with their next reservation.
      lane.slots.adapt(world.pace);
    }
    if (step.kind === "crash") {
      yield step.ms;
      lane = createOwnLane();
    }
    if (step.kind === "reserve") yield* reserveSlots(step.calls, step.there, step.inside, step.back);
    if (step.kind === "send") {
      for (let call = 0; call < step.calls; call += 1) {
        const late = step.lateness[call % step.lateness.length] ?? 0;
        if (!(yield* sendOne(late, step.connecting ?? 0)))
          yield* reserveSlots(Math.min(step.calls - call, 500), 1, 1, 1);
      }
    }
  }
}

/**
 * Lets processes work on one instance side by side, by true time, which is the database's clock. Their own
 * clocks are off by whatever each was given. Returns when each call was sent, by true time.
 */
export function simulateLanes(
  pace: Pace,
  processes: readonly { readonly clockOffsetMs: number; readonly steps: readonly Step[] }[],
  gapMs = 2 * slotToleranceMs,
): number[] {
  const world: World = {
    trueMs: 1e9,
    nextCallAtMs: 0,
    pacedBy: undefined,
    sent: [],
    pace,
    limit: pace.requestsPerSecond,
    gapMs,
  };
  const waiting = processes.map(({ clockOffsetMs, steps }) => ({
    process: runProcess(world, clockOffsetMs, steps),
    wakesAt: world.trueMs,
  }));
  while (waiting.length > 0) {
    waiting.sort((a, b) => a.wakesAt - b.wakesAt);
    const next = waiting[0];
    if (next === undefined) break;
    world.trueMs = next.wakesAt;
    const { value, done } = next.process.next();
    if (done) waiting.shift();
    else next.wakesAt = world.trueMs + (value ?? 0);
  }
  return world.sent;
}
