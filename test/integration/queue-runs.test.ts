import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { openQueues, type Queues } from "../../src/queue/queues.ts";
import type { Consumer } from "../../src/queue/consumer.ts";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { createGate, type Gate } from "../support/gate.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

const first = "1101000001" as InstanceId;
const second = "1101000002" as InstanceId;

describe.each(listBackends())("on $name", (backend) => {
  let database: TestDatabase;
  let queues: Queues;
  const consumers: Consumer[] = [];
  const faults: string[] = [];

  beforeAll(async () => {
    database = await openTestDatabase();
    const settings = await backend.open();
    queues = await openQueues(
      { databaseUrl: database.url, redisUrl: settings["REDIS_URL"], prefix: `test-${randomUUID()}` },
      {
        queueFailed: ({ where, code }) => faults.push(`${where}: ${code}`),
        requestRejected: () => undefined,
      },
    );
  });
  afterEach(async () => {
    await Promise.all(consumers.splice(0).map(async (consumer) => consumer.stop(0)));
    // What a test leaves waiting must not meet the next one.
    const seen = new Set<InstanceId>();
    const drain = await queues.consumeRuns({
      concurrency: 5,
      process: async (id) => {
        seen.add(id);
        return false;
      },
    });
    await queues.wakeInstances(["1101999999" as InstanceId]);
    await eventually(() => expect(seen).toContain("1101999999"));
    await drain.stop(60_000);
  });
  afterAll(async () => {
    await queues.close();
    // Before the database goes: on a busy machine a connection of the queue's may not be closed by then.
    expect(faults).toEqual([]);
    await database.close();
  });

  interface Run {
    readonly instanceId: InstanceId;
    readonly signal: AbortSignal;
    /** Ends the run; true: work remains. */
    readonly end: (workRemains: boolean) => void;
    readonly fail: (error: unknown) => void;
  }

  /** Takes runs; each lasts until the test ends it. */
  async function consume(concurrency = 4) {
    const runs: Run[] = [];
    const consumer = await queues.consumeRuns({
      concurrency,
      process(instanceId, signal) {
        // A job that was being fetched when the consumer was stopped: a real run ends at once, too.
        if (signal.aborted) return Promise.resolve(false);
        const gate: Gate<boolean> = createGate<boolean>();
        runs.push({ instanceId, signal, end: gate.open, fail: gate.fail });
        return gate.opened;
      },
    });
    consumers.push(consumer);
    return { runs, consumer };
  }

  const idsOf = (runs: readonly Run[]) => runs.map(({ instanceId }) => instanceId);

  /** Everything that was queued before this has been taken or was ignored: it is behind all of it. */
  async function passThrough(runs: Run[]): Promise<void> {
    const marker = `11018${String(Math.random()).slice(2, 8)}` as InstanceId;
    await queues.wakeInstances([marker]);
    await eventually(() => expect(idsOf(runs)).toContain(marker));
    const at = runs.findIndex(({ instanceId }) => instanceId === marker);
    runs.splice(at, 1)[0]?.end(false);
  }

  test("it is known whether a run waits for its turn", async () => {
    const { runs } = await consume(1);
    expect(await queues.runsWait()).toBe(false);
    await queues.wakeInstances([first]);
    await eventually(() => expect(runs).toHaveLength(1));
    expect(await queues.runsWait()).toBe(false);
    await queues.wakeInstances([second]);
    await eventually(async () => expect(await queues.runsWait()).toBe(true));
    runs[0]?.end(false);
    await eventually(() => expect(runs).toHaveLength(2));
    expect(await queues.runsWait()).toBe(false);
    runs[1]?.end(false);
  });

  test("an instance that is woken many times before its run is taken is run once", async () => {
    await queues.wakeInstances([first, first, second]);
    await queues.wakeInstances([first]);
    const { runs } = await consume();
    await passThrough(runs);
    expect(idsOf(runs).toSorted()).toEqual([first, second]);
    for (const { end } of runs) end(false);
  });

  test("an instance that is woken while its run is active is not run beside it", async () => {
    const { runs } = await consume();
    await queues.wakeInstances([first]);
    await eventually(() => expect(runs).toHaveLength(1));
    await queues.wakeInstances([first]);
    await passThrough(runs);
    expect(idsOf(runs)).toEqual([first]);
    runs[0]?.end(false);
  });

  test("an instance whose run has ended can be woken again", async () => {
    const { runs } = await consume();
    for (const round of [1, 2, 3]) {
      await eventually(async () => {
        // Until the job of the last run is gone its id is taken: the sweep, too, wakes again and again.
        await queues.wakeInstances([first]);
        expect(runs).toHaveLength(round);
      });
      runs.at(-1)?.end(false);
    }
  });

  test("a run that leaves work behind is followed by another one; a run that does not is the last", async () => {
    const { runs } = await consume();
    await queues.wakeInstances([first]);
    for (const round of [1, 2, 3]) {
      await eventually(() => expect(runs).toHaveLength(round));
      runs.at(-1)?.end(round < 3);
    }
    await passThrough(runs);
    expect(runs).toHaveLength(3);
  });

  test("a run that fails makes room for the next one at once", async () => {
    const { runs } = await consume();
    await queues.wakeInstances([first]);
    await eventually(() => expect(runs).toHaveLength(1));
    runs[0]?.fail(new Error("Postgres is away"));
    await eventually(async () => {
      await queues.wakeInstances([first]);
      expect(runs).toHaveLength(2);
    });
    runs[1]?.end(false);
  });

  test("no more runs are active in a process than it allows, and the others wait their turn", async () => {
    const { runs } = await consume(2);
    const ids = Array.from({ length: 5 }, (_, index) => String(1_101_000_100 + index) as InstanceId);
    await queues.wakeInstances(ids);
    let ended = 0;
    await eventually(() => expect(runs).toHaveLength(2));
    while (ended < ids.length) {
      expect(runs.length - ended).toBeLessThanOrEqual(2);
      runs[ended]?.end(false);
      ended += 1;
      const expected = Math.min(ids.length, ended + 2);
      await eventually(() => expect(runs).toHaveLength(expected));
    }
    expect(idsOf(runs).toSorted()).toEqual(ids);
  });

  test("stopping tells the runs at work, takes no new one, and waits for their end", async () => {
    const { runs, consumer } = await consume();
    await queues.wakeInstances([first]);
    await eventually(() => expect(runs).toHaveLength(1));
    const order: string[] = [];
    const stopped = [consumer.stop(60_000), consumer.stop(60_000)].map(async (stopping) =>
      stopping.then(() => order.push("stopped")),
    );
    await eventually(() => expect(runs[0]?.signal.aborted).toBe(true));
    await queues.wakeInstances([second]);
    order.push("run ended");
    // Work remains, but this process must not queue a run for itself any more.
    runs[0]?.end(true);
    await Promise.all(stopped);
    expect(order).toEqual(["run ended", "stopped", "stopped"]);
    expect(idsOf(runs)).toEqual([first]);
    await consumer.stop(0);
    const next = await consume();
    await passThrough(next.runs);
    expect(idsOf(next.runs)).not.toContain(first);
    for (const { end } of next.runs) end(false);
  });

  test("stopping ends after its grace period although a run does not", async () => {
    const { runs, consumer } = await consume();
    await queues.wakeInstances([first]);
    await eventually(() => expect(runs).toHaveLength(1));
    await consumer.stop(1);
    runs[0]?.end(false);
  });

  test("a consumer that never had a run stops", async () => {
    const { consumer } = await consume();
    await consumer.stop(60_000);
    await consumer.stop(60_000);
  });

  test("waking nobody is nothing", async () => {
    await queues.wakeInstances([]);
  });
});
