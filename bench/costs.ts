import { readCpuMs, readCpuMsWithChildren } from "./machine.ts";
import type { BenchProcess } from "./processes.ts";
import type { Servers } from "./servers.ts";

/** Whose CPU time is counted. */
export interface Payers {
  readonly workers: readonly Pick<BenchProcess, "pid">[];
  readonly servers: Pick<Servers, "postgres" | "redis">;
}

/** CPU time, user and system, in ms, and the moment of reading it. */
export interface Costs {
  readonly atMs: number;
  readonly workerMs: number;
  /** With all its processes, those that have ended too. */
  readonly postgresMs: number;
  readonly redisMs: number;
}

/** What they have cost since their starts. */
export function readCosts({ workers, servers }: Payers): Costs {
  const { postgres, redis } = servers;
  return {
    atMs: performance.now(),
    workerMs: workers.reduce((sum, { pid }) => sum + readCpuMs(pid), 0),
    postgresMs: postgres.pid === undefined ? 0 : readCpuMsWithChildren(postgres.pid),
    redisMs: redis?.pid === undefined ? 0 : readCpuMs(redis.pid),
  };
}

/** What so many contacts have cost meanwhile: µs of each, and how many there were in a second. */
export interface CostsPerContact {
  readonly contacts: number;
  readonly perSecond: number;
  readonly workerUs: number;
  readonly postgresUs: number;
  readonly redisUs: number;
  /** All three. */
  readonly allUs: number;
}

export function toCostsPerContact(before: Costs, after: Costs, contacts: number): CostsPerContact {
  const toUs = (key: "workerMs" | "postgresMs" | "redisMs") => ((after[key] - before[key]) * 1000) / contacts;
  const parts = { workerUs: toUs("workerMs"), postgresUs: toUs("postgresMs"), redisUs: toUs("redisMs") };
  return {
    contacts,
    perSecond: (contacts * 1000) / (after.atMs - before.atMs),
    ...parts,
    allUs: parts.workerUs + parts.postgresUs + parts.redisUs,
  };
}
