import { errors, Pool } from "undici";

/** Connections to GREEN-API's hosts, a pool for each. */
export interface OriginPools {
  /** Throws undici's ClientClosedError after `close`. */
  get(origin: string): Pool;
  /** Waits for the calls in flight. */
  close(): Promise<void>;
}

/** An instance has its own host; more hosts than this in use at a time only means reconnecting. */
const maxOrigins = 256;

export function createOriginPools(options: Pool.Options): OriginPools {
  /** The least recently used comes first. */
  const pools = new Map<string, Pool>();
  const closing = new Set<Promise<void>>();
  let isClosed = false;

  /** A closed pool still finishes the calls that it has, so that any may be dropped. */
  function drop(origin: string, pool: Pool): void {
    pools.delete(origin);
    const closed = pool
      .close()
      .catch(() => pool.destroy())
      .finally(() => closing.delete(closed));
    closing.add(closed);
  }

  function open(origin: string): Pool {
    const [oldest] = pools;
    if (oldest !== undefined && pools.size >= maxOrigins) drop(...oldest);
    return new Pool(origin, options);
  }

  return {
    get(origin) {
      if (isClosed) throw new errors.ClientClosedError();
      const pool = pools.get(origin) ?? open(origin);
      pools.delete(origin);
      pools.set(origin, pool);
      return pool;
    },
    async close() {
      isClosed = true;
      for (const [origin, pool] of pools) drop(origin, pool);
      await Promise.all(closing);
    },
  };
}
