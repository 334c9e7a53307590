import { randomUUID } from "node:crypto";
import { createPostgresBackend, Queue, withBackend, type Job } from "bullmq";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApp, type App } from "../../src/app/app.ts";
import { readConfig } from "../../src/config.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { UserError } from "../../src/lib/errors.ts";
import { openQueues } from "../../src/queue/queues.ts";
import type { RequestHandler } from "../../src/queue/request-consumer.ts";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { createGate } from "../support/gate.ts";
import { readContacts, toChatId } from "../support/ledger.ts";
import { openOutsider } from "../support/outsider.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

async function waitForState(queue: Queue, { id }: Job, state: string): Promise<Job> {
  return eventually(async () => {
    expect(await queue.getJobState(id ?? "")).toBe(state);
    const job: Job | undefined = await queue.getJob(id ?? "");
    if (job === undefined) throw new Error("the job is gone");
    return job;
  });
}

describe.each(listBackends())("on $name", (backend) => {
  let database: TestDatabase;
  let settings: Record<string, string>;
  const closing: (() => Promise<unknown>)[] = [];
  const faults: string[] = [];

  beforeAll(async () => {
    database = await openTestDatabase();
    settings = await backend.open();
    closing.push(async () => database.close());
  });
  afterAll(async () => {
    for (const close of closing.toReversed()) await close();
    // The server ended a connection that a consumer had left open.
    expect(faults).not.toContain("57P01");
  });

  /** A client of BullMQ that knows no more of us than the name of the queue. */
  async function openProducer(prefix?: string): Promise<Queue> {
    const redisUrl = settings["REDIS_URL"];
    if (redisUrl === undefined) {
      const connection = { connectionString: database.url, schema: "bullmq", max: 2 };
      const queue = new (withBackend(createPostgresBackend).Queue)("avatar-requests", { connection });
      closing.push(async () => queue.close());
      await queue.waitUntilReady();
      return queue as unknown as Queue;
    }
    const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
    const queue = new Queue("avatar-requests", { connection, ...(prefix !== undefined && { prefix }) });
    closing.push(async () => {
      await queue.close();
      connection.disconnect();
    });
    await queue.waitUntilReady();
    return queue;
  }

  /** Consumes with a handler of the test's own, apart from all other consumers. */
  async function consumeWith(handle: RequestHandler) {
    // PostgreSQL has no prefixes: the queue is in a database of its own.
    const prefix = `test-${randomUUID()}`;
    const rejected: string[] = [];
    const queues = await openQueues(
      { databaseUrl: database.url, redisUrl: settings["REDIS_URL"], prefix },
      {
        queueFailed: ({ code }) => faults.push(code),
        requestRejected: ({ reason }) => rejected.push(reason),
      },
    );
    const consumer = await queues.consumeRequests({ handle });
    closing.push(
      async () => queues.close(),
      async () => consumer.stop(0),
    );
    return { consumer, rejected, queue: await openProducer(prefix) };
  }

  describe("a request job that any BullMQ client adds", () => {
    const instanceId = "1101000001" as InstanceId;
    let app: App;
    let queue: Queue;

    beforeAll(async () => {
      const config = readConfig({
        DATABASE_URL: database.url,
        ...settings,
        AVATARS_SECRET_KEY: Buffer.alloc(32, 1).toString("base64"),
        LOG_LEVEL: "silent",
      });
      app = await openApp(config, {
        defaultLogLevel: "silent",
        maxConnections: 5,
        migrate: false,
        signal: new AbortController().signal,
      });
      closing.push(async () => app.close());
      await app.instances.put({ id: instanceId, apiUrl: "http://127.0.0.1:9", token: "token" }, app.operator);
      // Taken in, and not called for: this is about the way in.
      await app.instances.pause(instanceId, app.operator);
      await app.startWorker();
      queue = await openProducer();
    });

    test("is written to the ledger, and its return value says what happened", async () => {
      const job = await queue.add("any name", {
        instanceId: 1_101_000_001,
        chatIds: [toChatId(1), "+7 900 000-00-02", toChatId(1), "nonsense"],
        externalRef: ["crm-1", null, null, "crm-4"],
        priority: 0,
        maxAge: 3600,
      });
      const { returnvalue } = await waitForState(queue, job, "completed");
      expect(returnvalue).toEqual({
        batchId: expect.any(String),
        accepted: 2,
        duplicates: 1,
        rejected: [{ index: 3, reason: expect.any(String) }],
      });
      expect(await readContacts(database.pool, instanceId)).toMatchObject([
        { chat_id: toChatId(1), external_ref: "crm-1", priority: 0, attempts: 0 },
        { chat_id: toChatId(2), external_ref: null, priority: 0, attempts: 0 },
      ]);
      const progress = await app.batches.findProgress((returnvalue as { batchId: string }).batchId);
      expect(progress).toMatchObject({
        accepted: 2,
        duplicates: 1,
        rejected: 1,
        intakeComplete: true,
        pending: 2,
      });
    });

    test("may hold nothing but bad ids: that is said, and no failure", async () => {
      const job = await queue.add("x", { instanceId, chatIds: ["nonsense"] });
      const { returnvalue } = await waitForState(queue, job, "completed");
      expect(returnvalue).toMatchObject({ accepted: 0, duplicates: 0, rejected: [{ index: 0 }] });
    });

    test.each([
      ["no object", 7, "request: data: "],
      ["nothing asked for", { instanceId, chatIds: [] }, "chatIds"],
      ["several faults", { instanceId: {}, chatIds: "x", priority: 9 }, /instanceId.*chatIds.*priority/],
      ["an age beyond all time", { instanceId, chatIds: [toChatId(1)], maxAge: 1e300 }, "maxAge"],
      ["no digits", { instanceId: "mine", chatIds: [toChatId(1)] }, "instanceId must be digits"],
      [
        "an instance that nobody knows",
        { instanceId: "999", chatIds: [toChatId(1)] },
        "there is no instance 999",
      ],
      [
        "refs that do not fit",
        { instanceId, chatIds: [toChatId(1)], externalRef: ["a", "b"] },
        "externalRef has 2 elements, chatIds 1",
      ],
    ])(
      "with %s is kept as failed with the reason, however many attempts it was given",
      async (_, data, reason) => {
        const job = await queue.add("x", data, { attempts: 5, backoff: 1 });
        const { failedReason, attemptsMade } = await waitForState(queue, job, "failed");
        expect(failedReason).toMatch(reason);
        expect(attemptsMade).toBe(1);
      },
    );

    test("for contacts that another transaction holds waits for its end, leaves nothing behind meanwhile, and holds up no other", async () => {
      const [held, free] = ["1101000008" as InstanceId, "1101000009" as InstanceId];
      for (const id of [held, free]) {
        await app.instances.put({ id, apiUrl: "http://127.0.0.1:9", token: "token" }, app.operator);
        await app.instances.pause(id, app.operator);
      }
      const crm = await openOutsider(database);
      try {
        await crm.enqueue(held, [toChatId(1)]);
        // More than are taken in side by side.
        const waiting = await Promise.all(
          Array.from({ length: 6 }, async (_, n) =>
            queue.add("x", { instanceId: held, chatIds: [toChatId(1), toChatId(10 + n)] }),
          ),
        );
        const others = await Promise.all(
          Array.from({ length: 6 }, async (_, n) =>
            queue.add("x", { instanceId: free, chatIds: [toChatId(n)] }),
          ),
        );
        for (const job of others) await waitForState(queue, job, "completed");
        for (const job of waiting) await waitForState(queue, job, "delayed");
        const countBatches = async () => {
          const { rows } = await database.pool.query<{ batches: number; complete: number }>(
            `select count(*)::int as batches, count(*) filter (where completed_intake_at is not null)::int as complete
             from avatars.batches where instance_id = $1 and source = 'bullmq'`,
            [held],
          );
          return rows[0];
        };
        expect(await countBatches()).toEqual({ batches: 0, complete: 0 });
        await crm.query("commit");
        for (const job of waiting) {
          await (await waitForState(queue, job, "delayed")).promote();
          await waitForState(queue, job, "completed");
        }
        expect(await countBatches()).toEqual({ batches: 6, complete: 6 });
        expect(await readContacts(database.pool, held)).toHaveLength(7);
      } finally {
        await crm.close();
      }
    });

    // In PostgreSQL such a job cannot even be queued.
    test.runIf(backend.name === "Redis")(
      "whose texts Postgres cannot store is taken in all the same",
      async () => {
        const job = await queue.add("x", {
          instanceId,
          chatIds: [toChatId(5)],
          label: "a\0b",
          externalRef: "c\0\ud800d",
        });
        const { returnvalue } = await waitForState(queue, job, "completed");
        expect(returnvalue).toMatchObject({ accepted: 1 });
        const contacts = await readContacts(database.pool, instanceId);
        expect(contacts.find(({ chat_id }) => chat_id === toChatId(5))?.external_ref).toBe("c\ufffdd");
      },
    );
  });

  describe("the consumer of requests", () => {
    const answer = { batchId: "b", accepted: 1, duplicates: 0, rejected: [] };

    beforeAll(async () => {
      // The app of the tests above must not take these.
      for (const close of closing.splice(1).toReversed()) await close();
    });

    test("puts a request off that meets a fault of ours, and spends none of its attempts", async () => {
      let calls = 0;
      const { consumer, queue, rejected } = await consumeWith(async () => {
        calls += 1;
        if (calls === 1) throw new Error("Postgres is away");
        if (calls === 2) throw new UserError("database-unreachable", "not now", { retryable: true });
        return answer;
      });
      const added = await queue.add("x", {}, { attempts: 1 });
      for (const puttingOff of [1, 2]) {
        const job = await waitForState(queue, added, "delayed");
        expect(job.attemptsMade).toBe(0);
        expect(job.failedReason).toBeUndefined();
        expect(calls).toBe(puttingOff);
        await job.promote();
        await eventually(() => expect(calls).toBe(puttingOff + 1));
      }
      expect((await waitForState(queue, added, "completed")).returnvalue).toEqual(answer);
      expect(rejected).toEqual([]);
      await consumer.stop(60_000);
    });

    test("reports a request that is wrong, and takes the next", async () => {
      const { consumer, queue, rejected } = await consumeWith(async (data) => {
        if ((data as { bad?: boolean }).bad) throw new UserError("invalid-request", "request: bad");
        return answer;
      });
      const bad = await queue.add("x", { bad: true }, { attempts: 3 });
      const good = await queue.add("x", {});
      expect((await waitForState(queue, bad, "failed")).failedReason).toBe("request: bad");
      await waitForState(queue, good, "completed");
      expect(rejected).toEqual(["request: bad"]);
      await consumer.stop(60_000);
    });

    test("stopped while it is busy finishes what it has begun; stopped again is nothing", async () => {
      const gate = createGate<typeof answer>();
      let calls = 0;
      const { consumer, queue } = await consumeWith(async () => {
        calls += 1;
        return gate.opened;
      });
      const job = await queue.add("x", {});
      await eventually(() => expect(calls).toBe(1));
      const stopped = [consumer.stop(60_000), consumer.stop(60_000)];
      gate.open(answer);
      await Promise.all(stopped);
      expect(await job.getState()).toBe("completed");
      await consumer.stop(0);
    });

    test("stopped while a request hangs ends after its grace period", async () => {
      let calls = 0;
      const { consumer, queue } = await consumeWith(async () => {
        calls += 1;
        return new Promise(() => undefined);
      });
      await queue.add("x", {});
      await eventually(() => expect(calls).toBe(1));
      await Promise.all([consumer.stop(1), consumer.stop(1)]);
    });
  });
});
