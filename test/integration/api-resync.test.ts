import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { addResting, openRun } from "../support/resync.ts";

const [one, other] = ["1101000001" as InstanceId, "1101000002" as InstanceId];
const dayMs = 86_400_000;
const ago = (days: number) => new Date(Date.now() - days * dayMs);

let stage: ApiStage;
beforeAll(async () => {
  stage = await openApiStage({ env: { AVATARS_RESYNC_WINDOW: "all-day" } });
  await stage.addInstance(one, { rps: 1 });
  await stage.addInstance(other);
  await addResting(stage.database.pool, one, [
    { name: "a", step: -2, refreshAt: ago(1) },
    { name: "b", step: -1, refreshAt: ago(1) },
    { name: "c", step: 30, refreshAt: ago(3.5) },
    { name: "d", step: 30, refreshAt: ago(-100) },
    { name: "e", step: 30, refreshAt: null, status: "invalid" },
  ]);
});
afterAll(() => stage.close());

const get = async (path: string, key?: string) =>
  (await stage.call(path, key === undefined ? {} : { key })).json();

describe("the plan", () => {
  test("tells of each instance what is due by cause, and how far the calls get", async () => {
    const plan = await get("/v1/resync/plan");
    expect(plan).toMatchObject({ window: { from: plan["at"] } });
    expect(plan["items"]).toMatchObject([
      {
        instanceId: one,
        state: "active",
        dueNow: { requested: 0, neverAsked: 1, expiringUrl: 1, age: 1, total: 3 },
        fits: 3,
        leftOver: { total: 0 },
        waitsUntil: null,
        stretch: 1.46,
      },
      { instanceId: other, due: { total: 0 }, finishesAt: null, stretch: 1 },
    ]);
  });

  test("is of one instance where that is asked for, and of those that the key may see", async () => {
    expect((await get(`/v1/resync/plan?instanceId=${other}`))["items"]).toHaveLength(1);
    const key = await stage.createKey({ instanceIds: [other] });
    expect((await get("/v1/resync/plan", key))["items"]).toMatchObject([{ instanceId: other }]);
    expect((await stage.call(`/v1/resync/plan?instanceId=${one}`, { key })).status).toBe(404);
  });

  test("says so where nights are switched off", async () => {
    const off = await stage.serve({ env: { AVATARS_RESYNC_CRON: "off" } });
    const plan = (await off.call("/v1/resync/plan")).json();
    expect(plan).toMatchObject({ window: null });
    expect(plan["items"]).toMatchObject([{ calls: 0, fits: 0, leftOver: { total: 3 } }, {}]);
  });
});

test("runs come newest first, a page at a time, of the instances that the key may see", async () => {
  const { pool } = stage.database;
  const end = (id: number) =>
    pool.query("update avatars.resync_runs set ended_at = now(), ended_by = 'done' where id = $1", [id]);
  const first = await openRun(pool, one, ago(2));
  await end(first);
  const second = await openRun(pool, one, ago(1), "trickle");
  const third = await openRun(pool, other, ago(0), "trickle");
  const page = await get("/v1/resync/runs?limit=2");
  expect(page["items"]).toMatchObject([
    { id: third, instanceId: other, kind: "trickle", endedAt: null, endedBy: null },
    { id: second },
  ]);
  expect(await get(`/v1/resync/runs?limit=2&cursor=${String(page["next"])}`)).toMatchObject({
    items: [{ id: first, kind: "manual", endedBy: "done", asked: 0, underWay: 0 }],
    next: null,
  });
  expect((await get("/v1/resync/runs?kind=manual"))["items"]).toHaveLength(1);
  const key = await stage.createKey({ instanceIds: [other] });
  expect((await get("/v1/resync/runs", key))["items"]).toMatchObject([{ id: third }]);
});

test("a contact that rests tells when it is due by policy", async () => {
  expect(await get(`/v1/instances/${one}/contacts/79000000003@c.us`)).toMatchObject({
    pending: false,
    dueAt: expect.stringMatching(/Z$/),
  });
  expect(await get(`/v1/instances/${one}/contacts/79000000005@c.us`)).toMatchObject({ dueAt: null });
});
