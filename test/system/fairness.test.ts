import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats, openStage, type Stage } from "../support/stage.ts";

/** All orders are those in which the calls came in. */
describe.each(listBackends())("a worker with the queue in $name", (backend) => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ backend });
  });

  afterAll(() => stage.close());

  const readCalls = (instanceId: string) => stage.simulator.readLog({ instanceId, method: "getAvatar" });

  /** As a CRM does: at once, without the time that a process takes. */
  const enqueue = async (instanceId: string, chatIds: readonly string[], priority = 1) =>
    stage.database.pool.query("select avatars.enqueue($1, $2, $3)", [instanceId, chatIds, priority]);

  const awaitCalls = async (instanceId: string, count: number) =>
    eventually(() => expect(readCalls(instanceId).length).toBeGreaterThanOrEqual(count));

  /** Waits until all of them have been called for, and returns how many others of any instance were called before. */
  async function countCalledBefore(chatIds: readonly string[], instanceId: string, others: string) {
    return eventually(() => {
      const last = new Map(readCalls(instanceId).map((call) => [call.chatId, call.index]));
      const indexes = chatIds.map((chatId) => last.get(chatId) ?? Number.NaN);
      expect(indexes).not.toContain(Number.NaN);
      const own = new Set(chatIds);
      const end = Math.max(...indexes);
      return readCalls(others).filter((call) => call.index < end && !own.has(call.chatId)).length;
    });
  }

  test("that can run one instance at a time answers ten contacts of one while 2,000 of another are due", async () => {
    const [busy, small] = ["1101000001", "1101000002"];
    await stage.addInstance(busy, { rps: 100 });
    await stage.addInstance(small, { rps: 100 });
    await enqueue(busy, makeChats(2_000));
    const worker = await stage.startWorker({
      AVATARS_RUNS_PER_PROCESS: "1",
      AVATARS_RUN_SLICE_MS: "300",
    });
    await awaitCalls(busy, 20);
    await enqueue(small, makeChats(10));
    const before = await countCalledBefore(makeChats(10), small, busy);
    expect(before).toBeLessThan(1_800);
    await eventually(async () => expect(await stage.countPending(small)).toBe(0));
    expect(await stage.countPending(busy)).toBeGreaterThan(0);
    // And the other goes on.
    await awaitCalls(busy, before + 50);
    worker.child.kill("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
    await stage.database.pool.query("update avatars.instances set state = 'paused'");
  });

  test("lets batches share by turns, and what is more urgent go first", async () => {
    const instanceId = "1101000003";
    await stage.addInstance(instanceId, { rps: 50 });
    await enqueue(instanceId, makeChats(1_500));
    const worker = await stage.startWorker();
    await awaitCalls(instanceId, 50);

    const urgent = makeChats(1, 5_000);
    await enqueue(instanceId, urgent, 0);
    expect(await countCalledBefore(urgent, instanceId, instanceId)).toBeLessThan(300);

    const [equal, less] = [makeChats(20, 6_000), makeChats(5, 7_000)];
    await enqueue(instanceId, less, 2);
    await enqueue(instanceId, equal);
    expect(await countCalledBefore(equal, instanceId, instanceId)).toBeLessThan(600);
    const asked = new Set(readCalls(instanceId).map(({ chatId }) => chatId));
    expect(less.filter((chatId) => asked.has(chatId))).toEqual([]);

    worker.child.kill("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
  });
});
