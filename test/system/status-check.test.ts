import { afterAll, beforeAll, expect, test } from "vitest";
import { openStage, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
  await stage.addInstance(instanceId);
});
afterAll(async () => stage.close());

const letTimePass = async (column: "next_call_at" | "due_at") =>
  stage.database.pool.query(
    column === "due_at"
      ? "update avatars.contacts set due_at = now() - interval '3 minutes'"
      : "update avatars.instances set next_call_at = now() - interval '3 minutes'",
  );

test("a health check is content while nothing is due, or not for long, or somebody works", async () => {
  expect(await stage.run(["status", "--check"])).toMatchObject({ code: 0, stderr: "" });
  await stage.acceptChats(instanceId, ["79001234567@c.us"]);
  await letTimePass("next_call_at");
  expect(await stage.run(["status", "--check"])).toMatchObject({ code: 0, stderr: "" });
  await letTimePass("due_at");
  await stage.database.pool.query("update avatars.instances set next_call_at = now()");
  expect(await stage.run(["status", "--check"])).toMatchObject({ code: 0, stderr: "" });
});

test("a health check fails when contacts are due and nobody works on them, and names the instance", async () => {
  await letTimePass("next_call_at");
  const check = await stage.run(["status", "--check"]);
  expect(check.code).toBe(1);
  expect(check.stderr).toContain(instanceId);
  const status = await stage.run(["status", "--json"]);
  expect(JSON.parse(status.stdout)).toMatchObject({ instances: [{ instanceId, stalled: true }] });
  await stage.database.pool.query("update avatars.instances set state = 'paused'");
  expect(await stage.run(["status", "--check"])).toMatchObject({ code: 0 });
});
