import { errors } from "undici";
import { createTimerWheel } from "../../lib/timer-wheel.ts";
import { type ConnectionOptions, type ConnectionPool, createConnectionPool } from "./connection-pool.ts";
import type { HttpConnection } from "./http-connection.ts";

/** Connections to GREEN-API's hosts, a pool for each. */
export interface OriginPools {
  /** Throws undici's ClientClosedError after `close`. */
  get(origin: string): ConnectionPool;
  /** Waits for the calls in flight. */
  close(): Promise<void>;
}

/** As much as one look at a connection reads at most. */
const readBytes = 64 * 1024;

/** An instance has its own host; more hosts than this in use at a time only means reconnecting. */
const maxOrigins = 256;

interface KnownPool {
  readonly pool: ConnectionPool;
  /** By a count of all uses. */
  usedAt: number;
}

export function createOriginPools(options: ConnectionOptions): OriginPools {
  const pools = new Map<string, KnownPool>();
  const closing = new Set<Promise<void>>();
  const shared = {
    rests: createTimerWheel<HttpConnection>(),
    readBuffer: Buffer.allocUnsafeSlow(readBytes),
  };
  let isClosed = false;
  let uses = 0;

  /** A closed pool still finishes the calls that it has, so that any may be dropped. */
  function drop(origin: string, { pool }: KnownPool): void {
    pools.delete(origin);
    const closed = pool.close().finally(() => closing.delete(closed));
    closing.add(closed);
  }

  function open(origin: string): KnownPool {
    const oldest = pools.size < maxOrigins ? undefined : findOldest(pools);
    if (oldest !== undefined) drop(...oldest);
    const known = { pool: createConnectionPool(origin, options, shared), usedAt: 0 };
    pools.set(origin, known);
    return known;
  }

  return {
    get(origin) {
      if (isClosed) throw new errors.ClientClosedError();
      const known = pools.get(origin) ?? open(origin);
      uses += 1;
      known.usedAt = uses;
      return known.pool;
    },
    async close() {
      isClosed = true;
      for (const [origin, known] of pools) drop(origin, known);
      await Promise.all(closing);
    },
  };
}

function findOldest(pools: ReadonlyMap<string, KnownPool>): [string, KnownPool] | undefined {
  let oldest: [string, KnownPool] | undefined;
  for (const entry of pools) if (oldest === undefined || entry[1].usedAt < oldest[1].usedAt) oldest = entry;
  return oldest;
}
