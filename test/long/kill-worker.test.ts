import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { countAsked, makeChats, openStage, toAnswers, toTruths, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
const chats = makeChats(1_500);

// Both at once: each waits for the lease of the dead to end.
describe.concurrent.each(listBackends())("a killed worker with the queue in $name", (backend) => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ backend, latencyMs: 150, env: { AVATARS_REQUESTS_PER_SECOND: "300" } });
    await stage.addInstance(instanceId);
  });

  afterAll(() => stage.close());

  const readCalls = () => stage.simulator.readLog({ instanceId, method: "getAvatar" });

  test("costs no contact its answer, and nothing that was saved is asked again", async ({
    expect: check,
  }) => {
    const { simulator } = stage;
    await stage.acceptChats(instanceId, chats);
    const victim = await stage.startWorker();
    await eventually(() => expect(readCalls().length).toBeGreaterThan(400), 30_000);
    victim.child.kill("SIGKILL");
    check(await victim.ended).toMatchObject({ signal: "SIGKILL" });

    await eventually(() => expect(simulator.stats().inFlight).toBe(0));
    const atKill = await stage.readContacts(instanceId);
    const saved = new Set(atKill.filter(({ status }) => status !== "unknown").map(({ chatId }) => chatId));
    check(saved.size).toBeGreaterThan(0);
    const readHolders = async () =>
      (await stage.database.pool.query("select from avatars.instances where lease_owner is not null"))
        .rowCount;
    check(await readHolders()).toBe(1);
    const asked = new Set(readCalls().map(({ chatId }) => chatId));

    const successor = await stage.startWorker();
    await eventually(async () => expect(await stage.countPending(instanceId)).toBe(0), 90_000);
    successor.child.kill("SIGTERM");
    check(await successor.ended).toMatchObject({ code: 0 });

    const contacts = await stage.readContacts(instanceId);
    check(toAnswers(contacts)).toEqual(toTruths(simulator, instanceId, chats));
    check(contacts.some(({ inFlight }) => inFlight)).toBe(false);
    check(await readHolders()).toBe(0);
    // The killed one's calls spent no attempt: nobody was left to count them.
    check(contacts.every(({ attempts }) => attempts === 1)).toBe(true);

    const repeated = [...countAsked(simulator, instanceId)].filter(([, count]) => count > 1);
    check(repeated.filter(([chatId, count]) => count > 2 || saved.has(chatId))).toEqual([]);
    check(repeated.length).toBeLessThanOrEqual(asked.size - saved.size);
  });
});
