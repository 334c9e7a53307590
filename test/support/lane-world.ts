import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { Pace } from "../../src/domain/pace/pacer.ts";
import { renewEveryMs, watchEveryMs } from "../../src/worker/lease/lease-times.ts";
import { createLeases, type Lease, type Leases } from "../../src/worker/lease/leases.ts";
import { createLeaseWatch } from "../../src/worker/lease/watch-leases.ts";
import { createDatabaseClock, type Clock } from "../../src/worker/lane/clocks.ts";
import { createLane, type Lane } from "../../src/worker/lane/lane.ts";
import {
  createLeaseLedger,
  createLeaseRow,
  type Cap,
  type Lag,
  type LeaseLedger,
  type LeaseRow,
} from "./lease-row.ts";
import { createVirtualTime, until, type Actor, type Pause, type VirtualTime } from "./virtual-time.ts";

/** One turn of a process on the instance: it takes the lease, sends calls, and hands over. */
export interface Turn {
  /** Between two tries to get the lease, ms. */
  readonly retryMs: number;
  readonly calls: number;
  /** How late its timers are, ms, in turn. */
  readonly lateness: readonly number[];
  /** How long its calls wait for their connection before they leave, ms, in turn. */
  readonly connecting: readonly number[];
  /** Between its last call and the hand-over. */
  readonly idleMs: number;
  /** Between the hand-over and the next turn. */
  readonly restMs: number;
}

/** A process, or several in a row: one that is killed is followed by another one, which goes on with the next turn. */
export interface ProcessScript {
  /** Its clock is off by so much. */
  readonly clockOffsetMs: number;
  /** Its clock runs so much too fast, e.g. 0.0001. */
  readonly drift: number;
  /** The ways of its statements, in turn. */
  readonly lags: readonly Lag[];
  readonly turns: readonly Turn[];
}

/** What happens to the world, so long after what happened before. Durations in ms of true time. */
export type Fault = { readonly afterMs: number } & (
  | { readonly kind: "stall"; readonly process: number; readonly ms: number }
  | { readonly kind: "kill"; readonly process: number; readonly ms: number }
  /** The database's clock is set. */
  | { readonly kind: "clock"; readonly byMs: number }
  /** Refusals, recovery, an operator: the row says another pace, never above the limit. */
  | { readonly kind: "pace"; readonly share: number; readonly marginMs: number }
);

export interface WorldScript {
  readonly pace: Pace;
  readonly processes: readonly ProcessScript[];
  readonly faults: readonly Fault[];
  readonly cap?: Cap;
  /** Turns that have not come to an end by then are not waited for. */
  readonly longestMs?: number;
}

/** Takes something from the modules under test, to see that it is missed. */
export interface Sabotage {
  /** What a process has of the ledger. */
  readonly ledger?: (ledger: LeaseLedger) => LeaseLedger;
  /** Calls leave, whatever they are told. */
  readonly ignoresMayLeave?: boolean;
}

interface World {
  readonly time: VirtualTime;
  readonly row: LeaseRow;
  readonly sabotage: Sabotage;
  readonly left: number[];
  working: number;
}

interface Process {
  readonly actor: Actor;
  readonly clock: Clock;
  readonly lane: Lane;
  readonly leases: Leases;
}

const instanceId = "1101000001" as InstanceId;
const startsAt = 1e9;

/**
 * Lets processes work on one instance side by side, under leases: all but the ledger, the run and time itself is the product's.
 * Returns when each call has left, by true time.
 */
export async function simulateLanes(script: WorldScript, sabotage: Sabotage = {}): Promise<number[]> {
  const { pace, processes, faults, longestMs = 45_000 } = script;
  const row = createLeaseRow(instanceId, pace, script.cap);
  const time = createVirtualTime(startsAt);
  const world: World = { time, row, sabotage, left: [], working: processes.length };
  const present = processes.map((process, place) =>
    startProcess(world, process, { turns: [...process.turns], name: `${place}.0` }),
  );
  let at = startsAt;
  for (const fault of faults) {
    at += fault.afterMs;
    time.at(at, undefined, () => {
      if (fault.kind === "clock") row.clockAheadMs += fault.byMs;
      else if (fault.kind === "pace")
        row.pace = { requestsPerSecond: pace.requestsPerSecond * fault.share, marginMs: fault.marginMs };
      else {
        const hit = present[fault.process % present.length];
        if (fault.kind === "stall") hit?.stall(fault.ms);
        else hit?.kill(fault.ms);
      }
    });
  }
  await time.run(() => world.working === 0 || time.now > startsAt + longestMs);
  return world.left;
}

/** Starts a process, and others in its place where it is killed. */
function startProcess(world: World, script: ProcessScript, { turns, name }: { turns: Turn[]; name: string }) {
  const { time } = world;
  const lags = inTurn(script.lags);
  let lives = 0;
  let actor: Actor;
  let isDone = false;
  const done = () => {
    if (!isDone) world.working -= 1;
    isDone = true;
  };

  function live(): void {
    actor = { isDead: false, stalledUntil: 0 };
    lives += 1;
    const process = openProcess(world, script, { actor, name: `${name}.${lives}`, nextLag: lags });
    time.start(actor, renewLeases(process));
    time.start(actor, watchLeases(world, process, `${name}.${lives}`, lags));
    time.start(actor, work(world, process, turns, done));
  }

  live();
  return {
    stall(ms: number) {
      actor.stalledUntil = Math.max(actor.stalledUntil, time.now + ms);
    },
    kill(ms: number) {
      if (actor.isDead) return;
      actor.isDead = true;
      time.at(time.now + ms, undefined, live);
    },
  };
}

interface Life {
  readonly actor: Actor;
  readonly name: string;
  readonly nextLag: () => Lag;
}

function openProcess(world: World, script: ProcessScript, { actor, name, nextLag }: Life): Process {
  const { time, row, sabotage } = world;
  const clock = { now: () => time.now * (1 + script.drift) + script.clockOffsetMs };
  const database = createDatabaseClock();
  const plain = createLeaseLedger({ time, row, actor, nextLag });
  const ledger = sabotage.ledger?.(plain) ?? plain;
  const leases = createLeases({
    ledger,
    owner: name,
    clock,
    database,
    onError: () => undefined,
    betweenSaves: async (_id, work) => work(),
  });
  return { actor, clock, leases, lane: createLane(instanceId, clock, database) };
}

function* renewLeases({ leases }: Process): Generator<Pause, void> {
  for (;;) {
    yield renewEveryMs;
    yield* until(leases.renew());
  }
}

function* watchLeases(world: World, { actor, clock }: Process, owner: string, nextLag: () => Lag) {
  const { time, row } = world;
  const ledger = createLeaseLedger({ time, row, actor, nextLag });
  const watch = createLeaseWatch({ ledger, owner, clock, wakeInstances: async () => undefined });
  const { signal } = new AbortController();
  for (;;) {
    yield watchEveryMs;
    yield* until(watch.run(signal));
  }
}

function* work(world: World, process: Process, turns: Turn[], done: () => void): Generator<Pause, void> {
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) {
    const lease = yield* takeLease(world, process, turn);
    if (lease === undefined) continue;
    yield* sendCalls(world, process, lease, turn);
    yield turn.idleMs;
    yield* until(process.leases.giveBack(process.lane));
    yield turn.restMs;
  }
  done();
}

/** A lease that no process gives back ends after some seconds. */
const mostTries = 40;
/** A process tries now and then, and where the lease is free. */
const looksApart = 100;

function* takeLease(
  { row }: World,
  { leases, lane }: Process,
  { retryMs }: Turn,
): Generator<Pause, Lease | undefined> {
  for (let tries = 0; tries < mostTries; tries += 1) {
    const lease = yield* until(leases.take(lane));
    if (typeof lease === "object") return lease;
    for (let looks = 0; looks === 0 || (looks < looksApart && row.owner !== undefined); looks += 1)
      yield retryMs;
  }
  return undefined;
}

/** A run gives up after so many looks in vain. */
const mostLooks = 100;

/** As the instance run does it: it looks again after each wait, and sends without a pause once it may. */
function* sendCalls(world: World, process: Process, lease: Lease, turn: Turn): Generator<Pause, void> {
  const { clock, lane } = process;
  const nextLateness = inTurn(turn.lateness);
  const nextConnecting = inTurn(turn.connecting);
  let sent = 0;
  let late = nextLateness();
  for (let looks = 0; sent < turn.calls && looks < mostLooks && lease.refusal === undefined;) {
    const waitMs = lane.slots.nextAt() - clock.now();
    if (waitMs === Infinity) {
      looks += 1;
      yield 50;
    } else if (waitMs > 0) {
      yield waitMs + late;
      late = 0;
    } else {
      sendCall(world, process, nextConnecting());
      lease.calls += 1;
      sent += 1;
      late = nextLateness();
    }
  }
}

function sendCall({ time, left, sabotage }: World, { actor, lane }: Process, connectingMs: number): void {
  const slot = lane.slots.take();
  const leave = () => {
    if (slot.mayLeave() || sabotage.ignoresMayLeave) left.push(time.now);
    slot.end();
  };
  if (connectingMs === 0) leave();
  else time.at(time.now + connectingMs, actor, leave);
}

function inTurn<Value>(values: readonly [Value, ...Value[]] | readonly Value[]): () => Value {
  let at = 0;
  return () => {
    const value = values[at % values.length];
    at += 1;
    if (value === undefined) throw new Error("there is none");
    return value;
  };
}
