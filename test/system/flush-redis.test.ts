import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startLocalRedis, type TestRedis } from "../support/redis-server.ts";
import { countAsked, makeChats, openStage, toAnswers, toTruths, type Stage } from "../support/stage.ts";

// A server of its own: it is emptied and killed.
let redis = await startLocalRedis();

afterAll(() => redis?.close());

describe.skipIf(redis === undefined)("a Redis that loses everything", () => {
  let stage: Stage;

  beforeAll(async () => {
    const backend = { name: "Redis" as const, open: async () => ({ REDIS_URL: getRedis().url }) };
    stage = await openStage({ backend, latencyMs: 40, env: { AVATARS_REQUESTS_PER_SECOND: "200" } });
  });

  afterAll(() => stage.close());

  beforeEach(() => stage.simulator.clearLog());

  const countCalls = (instanceId: string) => stage.simulator.readLog({ instanceId }).length;

  /** All contacts are answered rightly, each by one call. */
  async function expectAllAnsweredOnce(instanceId: string, chats: readonly string[]): Promise<void> {
    await eventually(async () => expect(await stage.countPending(instanceId)).toBe(0), 90_000);
    const contacts = await stage.readContacts(instanceId);
    expect(toAnswers(contacts)).toEqual(toTruths(stage.simulator, instanceId, chats));
    expect(contacts.filter(({ inFlight, attempts }) => inFlight || attempts !== 1)).toEqual([]);
    expect([...countAsked(stage.simulator, instanceId)].filter(([, count]) => count !== 1)).toEqual([]);
  }

  test("is emptied three times in the middle: every contact is answered, by one call each", async () => {
    const instanceId = "1101000001";
    const chats = makeChats(1_500);
    await stage.addInstance(instanceId);
    const worker = await stage.startWorker();
    await stage.importChats(instanceId, chats);
    const client = new Redis(getRedis().url);
    for (const calls of [100, 400, 800]) {
      await eventually(() => expect(countCalls(instanceId)).toBeGreaterThan(calls), 30_000);
      await client.flushall();
    }
    client.disconnect();
    await expectAllAnsweredOnce(instanceId, chats);
    worker.child.kill("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
  });

  test("is emptied while short runs hand over to each other: the sweep queues what was lost", async () => {
    const instanceId = "1101000002";
    const chats = makeChats(1_000);
    await stage.addInstance(instanceId);
    const worker = await stage.startWorker({ AVATARS_RUN_SLICE_MS: "300" });
    await stage.importChats(instanceId, chats);
    const client = new Redis(getRedis().url);
    for (const calls of [50, 300, 600]) {
      await eventually(() => expect(countCalls(instanceId)).toBeGreaterThan(calls), 30_000);
      await client.flushall();
    }
    client.disconnect();
    await expectAllAnsweredOnce(instanceId, chats);
    worker.child.kill("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
  });

  test("is killed and comes back empty on the same port: work goes on by itself", async () => {
    const instanceId = "1101000003";
    const chats = makeChats(1_500);
    await stage.addInstance(instanceId);
    const worker = await stage.startWorker({ AVATARS_RUN_SLICE_MS: "1000" });
    await stage.importChats(instanceId, chats.slice(0, 1_000));
    await eventually(() => expect(countCalls(instanceId)).toBeGreaterThan(100), 30_000);
    const { url } = getRedis();
    await getRedis().close();
    // Whatever the run that is under way still does: calls go on until its slice is over.
    await eventually(() => expect(worker.printed()).toContain("queue failed"), 30_000);
    redis = await startLocalRedis(Number(new URL(url).port));
    expect(redis?.url).toBe(url);
    // Taken in while the worker finds its way back.
    await stage.importChats(instanceId, chats.slice(1_000));
    await expectAllAnsweredOnce(instanceId, chats);
    worker.child.kill("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
  });
});

function getRedis(): TestRedis {
  if (redis === undefined) throw new Error("the Redis did not start again");
  return redis;
}
