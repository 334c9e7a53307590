import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { runCli } from "../support/run-cli.ts";
import { makeChats, secretKey } from "../support/stage.ts";

const right = "the-right-token";
const wrong = "a-wrong-token";

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage();
  await stage.startWorker();
});
afterAll(() => stage.close());

async function run(args: readonly string[], stdin?: string): Promise<string> {
  const env = { DATABASE_URL: stage.database.url, AVATARS_SECRET_KEY: secretKey };
  const { code, stdout, stderr } = await runCli(args, { env, ...(stdin !== undefined && { stdin }) });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

async function change(id: string, changes: object): Promise<void> {
  const answer = await stage.call(`/v1/instances/${id}`, { method: "PATCH", json: changes });
  expect(answer.status).toBe(200);
  const { state, heldReason, heldUntil } = answer.json();
  expect({ state, heldReason }).toEqual({ state: "held", heldReason: "unauthorized" });
  const { rows } = await stage.database.pool.query<{ isOver: boolean }>(
    `select $1::timestamptz <= clock_timestamp() as "isOver"`,
    [heldUntil],
  );
  expect(rows).toEqual([{ isOver: true }]);
}

async function add(id: string, token: string): Promise<void> {
  const told = await run(["instance", "add", id, "--url", stage.simulator.url, "--token-stdin"], token);
  expect(told).toBe(`instance ${id} updated\ninstance ${id} is held: it is tried again at once\n`);
}

async function setUrl(id: string, from: string, to: string): Promise<void> {
  const told = await run(["instance", "set", id, "--url", to]);
  expect(told).toBe(
    `instance ${id}: url ${from} → ${to}\ninstance ${id} is held: it is tried again at once\n`,
  );
}

/** An instance that has been held three times in a row, and will be for an hour, with contacts that wait for it. */
async function holdInstance(id: string, apiUrl: string, token: string): Promise<void> {
  const added = await stage.call("/v1/instances", { method: "POST", json: { id, apiUrl, token } });
  expect(added.status).toBe(201);
  stage.simulator.setToken(right, id);
  await stage.database.pool.query(
    `update avatars.instances set state = 'held', held_reason = 'unauthorized', held_since = clock_timestamp(),
       held_until = clock_timestamp() + interval '1 hour', hold_count = 3 where id = $1`,
    [id],
  );
  const json = { instanceId: id, chatIds: makeChats(20) };
  expect((await stage.call("/v1/batches", { method: "POST", json })).status).toBe(202);
}

async function readHold(id: string) {
  const { rows } = await stage.database.pool.query<{ state: string; holds: number; lasts: boolean }>(
    `select state, hold_count as holds, coalesce(held_until > clock_timestamp(), false) as lasts
     from avatars.instances where id = $1`,
    [id],
  );
  return rows[0];
}

async function countWaiting(id: string): Promise<number> {
  const { rows } = await stage.database.pool.query(
    "select from avatars.contacts where instance_id = $1 and wanted_at is not null",
    [id],
  );
  return rows.length;
}

const nowhere = "http://127.0.0.1:9";

describe("new credentials put a hold to the test", () => {
  test.each<[string, string, (id: string) => Promise<void>, () => string, string]>([
    [
      "a token over HTTP",
      "2101000001",
      (id) => change(id, { token: right }),
      () => stage.simulator.url,
      wrong,
    ],
    [
      "a URL over HTTP",
      "2101000002",
      (id) => change(id, { apiUrl: stage.simulator.url, token: right }),
      () => nowhere,
      right,
    ],
    ["a token on the command line", "2101000003", (id) => add(id, right), () => stage.simulator.url, wrong],
    [
      "a URL on the command line",
      "2101000004",
      (id) => setUrl(id, nowhere, stage.simulator.url),
      () => nowhere,
      right,
    ],
  ])("%s: a good answer ends it, and calls begin slowly", async (_, id, give, getUrl, token) => {
    await holdInstance(id, getUrl(), token);
    await give(id);
    await eventually(async () => expect(await countWaiting(id)).toBe(0));
    expect(await readHold(id)).toEqual({ state: "active", holds: 0, lasts: false });
    const { rows } = await stage.database.pool.query(
      "select from avatars.instances where id = $1 and ramp_from is not null",
      [id],
    );
    expect(rows).toHaveLength(1);
  });

  test.each<[string, string, (id: string) => Promise<void>]>([
    ["a token over HTTP", "2101000005", (id) => change(id, { token: "another" })],
    ["a URL over HTTP", "2101000006", (id) => change(id, { apiUrl: nowhere, token: right })],
    ["a token on the command line", "2101000007", (id) => add(id, "another")],
    ["a URL on the command line", "2101000008", (id) => setUrl(id, stage.simulator.url, nowhere)],
  ])("%s that does not work costs one call, and it is held on, for a short time", async (_, id, give) => {
    await holdInstance(id, stage.simulator.url, wrong);
    await give(id);
    await eventually(async () =>
      expect(await readHold(id)).toEqual({ state: "held", holds: 2, lasts: true }),
    );
    const calls = stage.simulator.readLog({ instanceId: id, method: "getAvatar" });
    expect(calls.length).toBeLessThanOrEqual(1);
    expect(await countWaiting(id)).toBe(20);
  });
});
