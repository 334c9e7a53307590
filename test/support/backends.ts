import { Redis } from "ioredis";
import { inject } from "vitest";

export interface TestBackend {
  readonly name: "PostgreSQL" | "Redis";
  /** Settings that choose it. Call once per test file: it empties what the file will use. */
  open(): Promise<Record<string, string>>;
}

/**
 * Both queue backends, for `describe.each`. Without a Redis its half is not run (global-setup says so, and fails
 * in CI). Each of vitest's workers has a Redis database of its own, and files of one worker run one by one.
 */
export function listBackends(): TestBackend[] {
  const redisUrl = inject("redisUrl");
  const postgres: TestBackend = { name: "PostgreSQL", open: async () => ({}) };
  if (redisUrl === undefined) return [postgres];
  return [
    postgres,
    {
      name: "Redis",
      async open() {
        const url = new URL(redisUrl);
        url.pathname = `/${Number(process.env["VITEST_POOL_ID"] ?? "1") % 16}`;
        const client = new Redis(url.href);
        await client.flushdb();
        client.disconnect();
        return { REDIS_URL: url.href };
      },
    },
  ];
}
