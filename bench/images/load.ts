import { Pool } from "undici";
import { readCpuMs } from "../machine.ts";

export interface LoadFigures {
  readonly requests: number;
  readonly perSecond: number;
  /** Of the server, for each request. */
  readonly cpuMs: number;
  /** Answers by their status, and bytes of their bodies. */
  readonly statuses: ReadonlyMap<number, number>;
  readonly bytes: number;
}

export interface Load {
  readonly origin: string;
  /** Of the process that serves it. */
  readonly pid: number;
  readonly connections: number;
  readonly signal: AbortSignal;
  /** The path of the next request; undefined: that was all. */
  next(): string | undefined;
}

/** Each connection asks as soon as it has its answer, and reads all of it. */
export async function measureLoad({ origin, pid, connections, signal, next }: Load): Promise<LoadFigures> {
  const pool = new Pool(origin, { connections, pipelining: 1 });
  const statuses = new Map<number, number>();
  let [requests, bytes] = [0, 0];
  const ask = async () => {
    for (let path = next(); path !== undefined; path = next()) {
      signal.throwIfAborted();
      const { statusCode, body } = await pool.request({ path, method: "GET" });
      for await (const piece of body) bytes += (piece as Buffer).length;
      requests += 1;
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
    }
  };
  const [startedMs, cpuMs] = [performance.now(), readCpuMs(pid)];
  try {
    await Promise.all(Array.from({ length: connections }, ask));
  } finally {
    await pool.close();
  }
  const seconds = (performance.now() - startedMs) / 1000;
  return {
    requests,
    perSecond: requests / seconds,
    cpuMs: (readCpuMs(pid) - cpuMs) / Math.max(1, requests),
    statuses,
    bytes,
  };
}

/** These paths in turn, until so many seconds have passed. */
export function inTurnFor(paths: readonly string[], seconds: number): () => string | undefined {
  const endsMs = performance.now() + seconds * 1000;
  let asked = 0;
  return () => {
    asked += 1;
    return performance.now() < endsMs ? paths[asked % paths.length] : undefined;
  };
}

/** Each of these paths once. */
export function once(paths: readonly string[]): () => string | undefined {
  const left = paths.values();
  return () => left.next().value;
}
