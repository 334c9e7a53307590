import { setTimeout as sleep } from "node:timers/promises";
import { readCpuMs, readCpuMsWithChildren, readMachineTimes, readRssMb } from "./machine.ts";
import type { BenchProcess } from "./processes.ts";
import type { Servers } from "./servers.ts";
import type { BenchSimulator } from "./simulator.ts";

/** One row of a table. Shares are of 1; a CPU share of 1 is one core. */
export interface Figures {
  readonly name: string;
  readonly seconds: number;
  /** Calls that arrived, refused ones included. */
  readonly calls: number;
  readonly refused: number;
  /** Accepted calls in relation to what a strict sliding second allows. */
  readonly share: number;
  /** Of the instance that got least. */
  readonly lowestShare: number;
  readonly maxCallsInAnySecond: number;
  readonly workers: { readonly cpu: number; readonly rssMb: number; readonly maxRssMb: number };
  readonly postgresCpu: number;
  readonly redisCpu: number;
  readonly simulatorCpu: number;
  readonly simulatorLagMs: { readonly p99: number; readonly max: number };
  /** Of all cores. */
  readonly idle: number;
  /** What everything else on the machine took, the system's own work included. */
  readonly othersCpu: number;
}

export interface Window {
  readonly name: string;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  readonly instanceIds: readonly string[];
  readonly workers: readonly BenchProcess[];
  readonly simulator: BenchSimulator;
  readonly servers: Pick<Servers, "postgres" | "redis">;
  readonly signal: AbortSignal;
}

/** Counts for so many seconds from now, while everything runs. */
export async function measure(window: Window): Promise<Figures> {
  const { workers, simulator, instanceIds, signal } = window;
  const before = readCosts(window);
  // Both moments are that of sending an order, so that its time on the way cancels out.
  const startedMs = performance.now();
  await simulator.clear();
  await sleep(window.seconds * 1000 - (performance.now() - startedMs), undefined, { signal });
  const seconds = (performance.now() - startedMs) / 1000;
  const stats = await simulator.stats();
  const after = readCosts(window);
  for (const process of [...workers, simulator]) process.assertAlive();

  const allowed = window.requestsPerSecond * seconds;
  const shares = instanceIds.map((id) => {
    const { calls = 0, refused = 0 } = stats.instances[id] ?? {};
    return (calls - refused) / allowed;
  });
  const elapsedMs = after.atMs - before.atMs;
  const busyMs =
    after.machine.totalMs - before.machine.totalMs - (after.machine.idleMs - before.machine.idleMs);
  const toCpu = (key: "workersMs" | "postgresMs" | "redisMs" | "simulatorMs") =>
    (after[key] - before[key]) / elapsedMs;
  const cpu = {
    workers: toCpu("workersMs"),
    postgres: toCpu("postgresMs"),
    redis: toCpu("redisMs"),
    simulator: toCpu("simulatorMs"),
  };
  const rss = workers.map(({ pid }) => readRssMb(pid));
  return {
    name: window.name,
    seconds,
    calls: stats.calls,
    refused: stats.refused,
    share: sum(shares) / shares.length,
    lowestShare: Math.min(...shares),
    maxCallsInAnySecond: stats.maxCallsInAnySecond,
    workers: {
      cpu: cpu.workers,
      rssMb: sum(rss),
      maxRssMb: Math.max(...rss),
    },
    postgresCpu: cpu.postgres,
    redisCpu: cpu.redis,
    simulatorCpu: cpu.simulator,
    simulatorLagMs: stats.eventLoopLagMs,
    idle: 1 - busyMs / (after.machine.totalMs - before.machine.totalMs),
    othersCpu: Math.max(0, busyMs / elapsedMs - sum(Object.values(cpu))),
  };
}

function readCosts({ workers, simulator, servers }: Window) {
  const { postgres, redis } = servers;
  return {
    atMs: performance.now(),
    workersMs: sum(workers.map(({ pid }) => readCpuMs(pid))),
    simulatorMs: readCpuMs(simulator.pid),
    postgresMs: postgres.pid === undefined ? 0 : readCpuMsWithChildren(postgres.pid),
    redisMs: redis?.pid === undefined ? 0 : readCpuMs(redis.pid),
    machine: readMachineTimes(),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
