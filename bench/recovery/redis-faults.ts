import { Redis } from "ioredis";
import type { Closer } from "../../src/lib/closing/closer.ts";
import { startLocalRedis, type TestRedis } from "../../test/support/redis-server.ts";
import { withCloser } from "../run-bench.ts";
import { countOverBudget, countRefused, select, toRate } from "./calls.ts";
import { openStage, readNowMs, requestsPerSecond, type Stage, type StageOptions } from "./stage.ts";

export const redisFaults = ["silent", "flushed", "away"] as const;
/** It stops and hears nobody out; it is emptied; its process is gone, and comes back empty. */
export type RedisFault = (typeof redisFaults)[number];

export interface RedisFaultFigures {
  readonly fault: RedisFault;
  readonly calls: number;
  /** By the order of arrival in any sliding second, refused ones included. */
  readonly overBudget: number;
  readonly refused: number;
  /** Accepted calls in relation to the rate, while it lasts and afterwards. */
  readonly shareMeanwhile: number;
  readonly shareAfter: number;
  readonly lagP99Ms: number;
}

const faultSeconds = 20;
const afterSeconds = 25;

export async function measureRedisFault(
  fault: RedisFault,
  options: StageOptions,
): Promise<RedisFaultFigures> {
  return withCloser(async (closer) => {
    const redis = await openOwnRedis(closer);
    const seconds = faultSeconds + afterSeconds + 10;
    const stage = await openStage(options, closer, seconds, { REDIS_URL: redis.url });
    const { simulator, wait } = stage;
    const fromMs = readNowMs();
    await suffer(fault, redis, stage);
    const endedMs = readNowMs();
    await wait(afterSeconds);
    const untilMs = readNowMs();
    const calls = select(await simulator.readCalls(), fromMs, untilMs);
    const full = options.instances * requestsPerSecond;
    return {
      fault,
      calls: calls.length,
      overBudget: countOverBudget(calls, requestsPerSecond),
      refused: countRefused(calls),
      shareMeanwhile: toRate(calls, fromMs, endedMs) / full,
      shareAfter: toRate(calls, endedMs, untilMs) / full,
      lagP99Ms: (await simulator.stats()).eventLoopLagMs.p99,
    };
  });
}

async function suffer(fault: RedisFault, redis: OwnRedis, { wait }: Stage): Promise<void> {
  switch (fault) {
    case "silent":
      await redis.silence(() => wait(faultSeconds));
      break;
    case "flushed":
      await redis.flush();
      await wait(faultSeconds);
      break;
    case "away":
      await redis.leave(() => wait(faultSeconds));
      break;
  }
}

/** A server for one row alone, so that it may be stopped. */
interface OwnRedis {
  readonly url: string;
  silence(meanwhile: () => Promise<void>): Promise<void>;
  flush(): Promise<void>;
  leave(meanwhile: () => Promise<void>): Promise<void>;
}

async function openOwnRedis(closer: Closer): Promise<OwnRedis> {
  let server = await start();
  closer.add("own Redis", () => server.close());
  const { url } = server;
  return {
    url,
    async silence(meanwhile) {
      const pid = await ask(url, async (client) =>
        Number(/process_id:(\d+)/.exec(await client.info("server"))?.[1]),
      );
      process.kill(pid, "SIGSTOP");
      try {
        await meanwhile();
      } finally {
        process.kill(pid, "SIGCONT");
      }
    },
    flush: async () => void (await ask(url, (client) => client.flushall())),
    async leave(meanwhile) {
      await server.close();
      await meanwhile();
      server = await start(Number(new URL(url).port));
    },
  };
}

async function start(port?: number): Promise<TestRedis> {
  const server = await startLocalRedis(port);
  if (server === undefined) throw new Error("there is no redis-server");
  return server;
}

async function ask<T>(url: string, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url);
  client.on("error", () => undefined);
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}
