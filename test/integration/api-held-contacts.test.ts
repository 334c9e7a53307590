import { afterAll, beforeAll, expect, test } from "vitest";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { openOutsider, type Outsider } from "../support/outsider.ts";

const held = "79000000001@c.us";
const [one, two] = ["1101000001", "1101000002"];

let stage: ApiStage;
let crm: Outsider;

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(one);
  await stage.addInstance(two);
  crm = await openOutsider(stage.database);
});
afterAll(async () => {
  await crm.close();
  await stage.close();
});

const refresh = async (instanceId: string, chatId: string) =>
  stage.call(`/v1/instances/${instanceId}/contacts/${chatId}/refresh?wait=0`, { method: "POST" });

const countConnectionsThatWait = async () => {
  const { rows } = await stage.database.pool.query<{ waiting: number }>(
    "select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ~ 'avatars.accept'",
  );
  return rows[0]?.waiting ?? 0;
};

test("requests for a contact that a CRM's transaction holds are told to come again, and take few connections from others", async () => {
  await crm.enqueue(one, [held]);
  const first = { isSettled: false };
  let mostWaiting = 0;
  const waits = Array.from({ length: 12 }, async () =>
    refresh(one, held).finally(() => {
      first.isSettled = true;
    }),
  );
  // While they wait all others are served: as many of them as it takes.
  let served = 0;
  while (!first.isSettled) {
    mostWaiting = Math.max(mostWaiting, await countConnectionsThatWait());
    const other = await refresh(two, `790000${String(10_000 + served)}@c.us`);
    expect(other.status).toBe(202);
    served += 1;
  }
  expect(served).toBeGreaterThan(0);
  expect(mostWaiting).toBeLessThanOrEqual(3);
  for (const answer of await Promise.all(waits)) {
    const { status, headers } = answer;
    expect(status).toBe(503);
    expect(headers["retry-after"]).toMatch(/^\d+$/);
    expect(answer.json()).toMatchObject({
      code: "unavailable",
      detail: expect.stringMatching(/^another transaction holds/),
    });
  }

  const erased = await stage.call(`/v1/instances/${one}/contacts/${held}`, { method: "DELETE" });
  // Before the commit there is no such contact.
  expect(erased.status).toBe(404);
  await crm.query("commit");
  expect((await refresh(one, held)).status).toBe(202);
  await crm.enqueue(one, [held]);
  expect((await stage.call(`/v1/instances/${one}/contacts/${held}`, { method: "DELETE" })).status).toBe(503);
  await crm.query("rollback");
  expect((await stage.call(`/v1/instances/${one}/contacts/${held}`, { method: "DELETE" })).status).toBe(204);
});
