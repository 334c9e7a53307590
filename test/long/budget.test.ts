import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { countAsked, makeChats, openStage, toAnswers, toTruths, type Stage } from "../support/stage.ts";

const rate = 20;
/**
 * What the provider allows here: less than two processes would need that do not share their budget, which is 40. The rest is room
 * for the machine: the simulator stamps calls in this process, and where that stands still for 0.4 s, calls of 1.4 s arrive in one.
 */
const allowed = 36;
const instanceIds = ["1101000001", "1101000002"];
const chats = makeChats(900);

// Both at once: each waits for the lease of a process that stands still.
describe.concurrent.each(listBackends())("three workers with the queue in $name", (backend) => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      backend,
      requestsPerSecond: allowed,
      env: { AVATARS_REQUESTS_PER_SECOND: String(rate), AVATARS_RUN_SLICE_MS: "2000" },
    });
    for (const id of instanceIds) await stage.addInstance(id);
  });

  afterAll(() => stage.close());

  const countCalls = () => stage.simulator.stats().calls;
  /** Some calls later. */
  const afterCalls = (count: number) => {
    const from = countCalls();
    return eventually(() => expect(countCalls()).toBeGreaterThan(from + count), 90_000);
  };

  test("share each instance's budget while one is killed and another stands still and wakes up", async ({
    expect: check,
  }) => {
    for (const id of instanceIds) await stage.acceptChats(id, chats);
    const [sleeper, victim, survivor] = await Promise.all([1, 2, 3].map(() => stage.startWorker()));
    await afterCalls(100);
    // It may hold both runs, or none: whoever else goes on, it wakes as a zombie.
    sleeper?.child.kill("SIGSTOP");
    await afterCalls(150);
    victim?.child.kill("SIGKILL");
    await afterCalls(150);
    sleeper?.child.kill("SIGCONT");
    await eventually(async () => {
      for (const id of instanceIds) expect(await stage.countPending(id)).toBe(0);
    }, 150_000);

    const { refused, maxCallsInAnySecond } = stage.simulator.stats();
    check(refused).toBe(0);
    check(maxCallsInAnySecond).toBeLessThanOrEqual(allowed);
    for (const id of instanceIds) {
      check(toAnswers(await stage.readContacts(id))).toEqual(toTruths(stage.simulator, id, chats));
      // Again are asked only those that were in flight, or answered and not saved, where a process ended or stood still.
      const again = [...countAsked(stage.simulator, id)].filter(([, count]) => count > 1);
      check(again.length).toBeLessThanOrEqual(3 * rate);
    }
    for (const worker of [sleeper, survivor]) worker?.child.kill("SIGTERM");
    check(await survivor?.ended).toMatchObject({ code: 0 });
    check(await sleeper?.ended).toMatchObject({ code: 0 });
  });
});
