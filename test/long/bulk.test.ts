import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats, openStage, toAnswers, toTruths, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
const chats = makeChats(10_000);

describe.each(listBackends())("10,000 contacts with the queue in $name", (backend) => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ backend, env: { AVATARS_REQUESTS_PER_SECOND: "1000" } });
    await stage.addInstance(instanceId);
  });

  afterAll(() => stage.close());

  const readCalls = () => stage.simulator.readLog({ instanceId, method: "getAvatar" });

  test("every contact ends with the provider's answer, in no more calls than contacts and retries", async () => {
    const { simulator } = stage;
    simulator.setFaults({
      "chat-timeout": 0.05,
      "server-error-500": 0.01,
      "bad-gateway-502": 0.01,
      "html-200": 0.005,
      "truncated-200": 0.005,
    });
    const worker = await stage.startWorker({ AVATARS_MAX_ATTEMPTS: "12" });
    await stage.importChats(instanceId, chats);
    await eventually(async () => expect(await stage.countPending(instanceId)).toBe(0));
    const contacts = await stage.readContacts(instanceId);
    expect(toAnswers(contacts)).toEqual(toTruths(simulator, instanceId, chats));

    const calls = readCalls();
    const refused = calls.filter((call) => call.outcome === "limited");
    const failed = calls.filter(({ outcome }) => /timeout|50|html|truncated/.test(outcome));
    expect(calls.length - refused.length).toBe(chats.length + failed.length);
    expect(contacts.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(calls.length - refused.length);
    expect(contacts.some(({ inFlight }) => inFlight)).toBe(false);

    worker.child.kill("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
  });

  test("asking anew while every third call fails erases no avatar", async () => {
    const { simulator } = stage;
    const again = chats.slice(0, 2_000);
    const before = await stage.readContacts(instanceId);
    simulator.clearLog();
    simulator.setFaults({
      "chat-timeout": 0.15,
      "server-error-500": 0.05,
      "html-200": 0.05,
      "empty-200": 0.05,
    });
    const worker = await stage.startWorker({ AVATARS_MAX_ATTEMPTS: "2" });
    await stage.importChats(instanceId, again, ["--max-age", "0"]);
    await eventually(async () => expect(await stage.countPending(instanceId)).toBe(0));
    worker.child.kill("SIGTERM");
    await worker.ended;

    const after = await stage.readContacts(instanceId);
    const keepsVersion = (contacts: typeof after) =>
      contacts.map(({ chatId, version }) => ({ chatId, version }));
    expect(keepsVersion(after)).toEqual(keepsVersion(before));
    const truths = new Map(
      toTruths(simulator, instanceId, again).map(({ chatId, status }) => [chatId, status]),
    );
    const wrong = after
      .slice(0, again.length)
      .filter(({ chatId, status }) => status !== "unreachable" && status !== truths.get(chatId));
    expect(wrong).toEqual([]);
    expect(after.filter(({ status }) => status === "unreachable").length).toBeGreaterThan(50);
    expect(new Set(readCalls().map(({ chatId }) => chatId)).size).toBe(again.length);

    const status = JSON.parse((await stage.run(["status", "--json"])).stdout) as { instances: unknown[] };
    expect(status.instances).toEqual([
      expect.objectContaining({ instanceId, state: "active", due: 0, claimed: 0, waiting: 0 }),
    ]);
  });
});
