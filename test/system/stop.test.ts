import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { openQueueClient } from "../support/queue-client.ts";
import {
  countAsked,
  makeChats,
  openStage,
  readCsv,
  toAnswers,
  toTruths,
  type Stage,
} from "../support/stage.ts";

const contactCount = 160;

describe.each(listBackends())("stopping with the queue in $name", (backend) => {
  let stage: Stage;
  let instanceId = "1101000000";
  let chats: string[] = [];

  beforeAll(async () => {
    // Answers are slow against the time between two calls: many are in flight when the signal comes.
    stage = await openStage({ backend, env: { AVATARS_REQUESTS_PER_SECOND: "100" }, latencyMs: 400 });
  });

  afterAll(() => stage.close());

  beforeEach(async () => {
    instanceId = String(Number(instanceId) + 1);
    chats = makeChats(contactCount);
    await stage.addInstance(instanceId);
    await stage.write("contacts.csv", `chat_id\n${chats.join("\n")}\n`);
  });

  const readCalls = () => stage.simulator.readLog({ instanceId, method: "getAvatar" });
  const callsReach = (count: number) =>
    eventually(() => expect(readCalls().length).toBeGreaterThanOrEqual(count), 30_000);

  /** The next process need not wait for a lease, nor for calls of the last one. */
  async function expectNothingHeld(): Promise<void> {
    const { rows } = await stage.database.pool.query(
      `select id::text from avatars.contacts where in_flight_epoch is not null
       union all select id from avatars.instances where lease_owner is not null
       union all select contact_id::text from avatars.lookups_aside`,
    );
    expect(rows).toEqual([]);
  }

  /** All calls that went out came back and were saved. */
  async function expectAnswersSaved(): Promise<void> {
    await expectNothingHeld();
    const contacts = await stage.readContacts(instanceId);
    const answered = contacts.filter(({ status }) => status !== "unknown").map(({ chatId }) => chatId);
    expect(readCalls().length).toBeLessThan(contactCount);
    expect(new Set(answered)).toEqual(new Set(readCalls().map(({ chatId }) => chatId)));
    expect(answered).toHaveLength(readCalls().length);
  }

  test.each([
    ["SIGTERM", 0],
    ["SIGINT", 130],
  ] as const)("a worker finishes its calls in flight after %s, and exits with %i", async (signal, code) => {
    await stage.acceptChats(instanceId, chats);
    const worker = await stage.startWorker();
    await callsReach(50);
    worker.child.kill(signal);
    expect(await worker.ended).toMatchObject({ code, signal: null });
    await expectAnswersSaved();
    expect(readCalls().length).toBeGreaterThanOrEqual(50);
    // Nobody works on the rest of this instance while the next tests run.
    await stage.removeInstance(instanceId);
  });

  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)(
    "enrich after %s keeps what it has, exits with %i, and goes on when it is run again",
    async (...given) => {
      const [signal, code] = given;
      const enrich = ["enrich", "contacts.csv", "--instance", instanceId];
      const run = stage.start(enrich);
      await callsReach(50);
      run.child.kill(signal);
      const stopped = await run.ended;
      expect(stopped).toMatchObject({ code, signal: null });
      await expectAnswersSaved();
      const done = readCalls().length;
      expect(stopped.stdout).toContain(`stopped: ${contactCount - done} contacts are left; continue with: `);
      expect(stopped.stdout).toMatch(new RegExp(`avatars ${enrich.join(" ")}$`, "m"));
      const rows = await readCsv(stage.path("contacts.avatars.csv"));
      expect(rows).toHaveLength(contactCount);
      expect(rows.filter((row) => row["status"] !== "unknown")).toHaveLength(done);

      const again = await stage.run(enrich);
      expect(again.code).toBe(0);
      expect(again.stdout).toContain(`${contactCount - done} calls in `);
      // It starts to call before it has read its file: what is answered until then is fresh to the new batch.
      const [, fresh] = /; (\d+) contacts were fresh and needed none$/m.exec(again.stdout) ?? [];
      expect(Number(fresh)).toBeGreaterThanOrEqual(done);
      expect([...countAsked(stage.simulator, instanceId)].filter(([, count]) => count !== 1)).toEqual([]);
      expect(toAnswers(await stage.readContacts(instanceId))).toEqual(
        toTruths(stage.simulator, instanceId, chats),
      );
    },
  );

  test.each(["0", "200"])(
    "with a grace of %s ms the calls in flight are given back, no attempt spent",
    async (graceMs) => {
      const { simulator } = stage;
      simulator.script({ instanceId, answers: [{ outcome: "present", delayMs: 60_000 }], times: "forever" });
      await stage.acceptChats(instanceId, chats);
      const worker = await stage.startWorker({ AVATARS_SHUTDOWN_GRACE_MS: graceMs });
      await callsReach(30);
      worker.child.kill("SIGTERM");
      expect(await worker.ended).toMatchObject({ code: 0, signal: null });
      // Its run is given back too: the next worker need not wait for it to expire.
      const runs = openQueueClient(stage.env, "instance-runs");
      expect(await runs.queue.getActiveCount()).toBe(0);
      await runs.close();
      await expectNothingHeld();
      const contacts = await stage.readContacts(instanceId);
      expect(
        contacts.filter(({ attempts, status, pending }) => attempts > 0 || status !== "unknown" || !pending),
      ).toEqual([]);
      simulator.clearScripts({ instanceId });
      const again = await stage.run(["enrich", "contacts.csv", "--instance", instanceId]);
      expect(again.code).toBe(0);
      expect(toAnswers(await stage.readContacts(instanceId))).toEqual(toTruths(simulator, instanceId, chats));
    },
  );

  test("a second Ctrl-C stops at once, whatever is in flight", async () => {
    stage.simulator.script({ instanceId, answers: ["stall"], times: "forever" });
    const run = stage.start(["enrich", "contacts.csv", "--instance", instanceId]);
    await callsReach(20);
    await eventually(() => {
      run.child.kill("SIGINT");
      expect(run.child.exitCode).toBe(130);
    }, 15_000);
    expect((await stage.readContacts(instanceId)).filter(({ attempts }) => attempts > 0)).toEqual([]);
    await stage.removeInstance(instanceId);
  });
});
