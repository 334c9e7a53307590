import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats } from "../support/stage.ts";

const instanceId = "1101000001";
const path = `/v1/instances/${instanceId}`;

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(instanceId, { rps: 20 });
  await stage.startWorker();
});
afterAll(() => stage.close());

const countCalls = () => stage.simulator.readLog({ instanceId, method: "getAvatar" }).length;

const change = async (json: object) => stage.call(path, { method: "PATCH", json });

const refresh = async (chatId: string) =>
  stage.call(`${path}/contacts/${chatId}/refresh?wait=20`, { method: "POST" });

/** Two hours before to three after now, by UTC. */
function aroundNow(): { readonly quietHours: string; readonly untilHour: number } {
  const hour = new Date().getUTCHours();
  const toTime = (hours: number) => `${String((hour + hours + 24) % 24).padStart(2, "0")}:30`;
  return { quietHours: `${toTime(-2)}-${toTime(3)}`, untilHour: (hour + 3) % 24 };
}

describe("quiet hours over HTTP", () => {
  test("are set, told, and taken away", async () => {
    const { quietHours } = aroundNow();
    const settings = { callsPerDay: 500, quietHours, quietInteractive: true, timeZone: "Etc/UTC" };
    const changed = await change(settings);
    expect(changed.status).toBe(200);
    expect(changed.json()).toMatchObject({
      ...settings,
      callsToday: 0,
      carePause: { reason: "quiet", until: expect.stringMatching(/:30:00\.000Z$/) },
    });
    expect((await stage.call("/v1/instances")).json()).toMatchObject({ items: [settings] });
    const none = { callsPerDay: null, quietHours: null, quietInteractive: null, timeZone: null };
    const taken = await change(none);
    expect(taken.json()).toMatchObject({
      ...none,
      quietInteractive: false,
      callsToday: null,
      carePause: null,
    });
  });

  test.each([
    ["callsPerDay", 0],
    ["callsPerDay", 1.5],
    ["quietHours", "22-7"],
    ["quietHours", "all-day"],
    ["quietHours", "x".repeat(1_000)],
    ["timeZone", "CET"],
    ["timeZone", "+02:00"],
    ["quietInteractive", "yes"],
  ])("have no %s of %j", async (name, value) => {
    const answer = await change({ [name]: value });
    expect(answer.status).toBe(400);
    expect(answer.json()["errors"]).toEqual([{ path: `/${name}`, message: expect.any(String) }]);
  });

  test("let a refresh wait for nothing, and say until when it does", async () => {
    const { quietHours, untilHour } = aroundNow();
    await change({ quietHours });
    const [chat = ""] = makeChats(1);
    const calls = countCalls();
    const answer = await refresh(chat);
    expect(answer.status).toBe(202);
    const { stopped } = answer.json() as { stopped: { reason: string; until: string } };
    expect(stopped.reason).toBe("quiet");
    expect(new Date(stopped.until).getUTCHours()).toBe(untilHour);
    expect(countCalls()).toBe(calls);

    // With the exception the same contact is asked, and an import is not.
    const batch = await stage.call("/v1/batches", {
      method: "POST",
      json: { instanceId, chatIds: makeChats(30, 100) },
    });
    expect(batch.status).toBe(202);
    await change({ quietInteractive: true });
    expect((await refresh(chat)).status).toBe(200);
    expect((await refresh(makeChats(1, 50)[0]!)).status).toBe(200);
    expect(countCalls()).toBe(calls + 2);
    await change({ quietHours: null, quietInteractive: null });
    await eventually(() => expect(countCalls()).toBe(calls + 32));
  });
});

async function readLeaseOwner(): Promise<string | null | undefined> {
  const { rows } = await stage.database.pool.query<{ owner: string | null }>(
    "select lease_owner as owner from avatars.instances where id = $1",
    [instanceId],
  );
  return rows[0]?.owner;
}

test("a cap over HTTP holds for whoever asks, is told, and an ETA reckons with it", async () => {
  // A run that began without a cap knows of it with its next renewal.
  await eventually(async () => expect(await readLeaseOwner()).toBeNull());
  const calls = countCalls();
  await change({ callsPerDay: 10 });
  const batch = await stage.call("/v1/batches", {
    method: "POST",
    json: { instanceId, chatIds: makeChats(35, 1_000) },
  });
  await eventually(() => expect(countCalls()).toBe(calls + 10));
  await eventually(async () =>
    expect((await stage.call(path)).json()).toMatchObject({
      callsToday: 10,
      carePause: { reason: "capped", until: expect.stringMatching(/T00:00:00\.000Z$/) },
    }),
  );
  const answer = await refresh(makeChats(1, 2_000)[0]!);
  expect([answer.status, answer.json()]).toMatchObject([202, { stopped: { reason: "capped" } }]);
  const midnightMs = Date.parse(`${new Date().toISOString().slice(0, 10)}T00:00:00Z`) + 86_400_000;
  const { etaSeconds } = (await stage.call(`/v1/batches/${String(batch.json()["id"])}`)).json() as {
    etaSeconds: number;
  };
  // The 25 that are left, and the refresh, take two more days and a bit.
  const etaMs = etaSeconds * 1000 + Date.now();
  expect(etaMs).toBeGreaterThan(midnightMs + 2 * 86_400_000 - 5_000);
  expect(etaMs).toBeLessThan(midnightMs + 2 * 86_400_000 + 60_000);
  const { text } = await stage.call("/metrics");
  expect(text).toMatch(/^avatars_instance_calls_left_today\{instance_id="1101000001"\} 0$/m);
  expect(countCalls()).toBe(calls + 10);
});
