import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openStage, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
  await stage.addInstance(instanceId);
  await stage.write("contacts.csv", "chat_id,name\n79001234567@c.us,Ann\nnobody,Bob\n");
});
afterAll(async () => stage.close());

test.each([
  ["the results", ["enrich", "contacts.csv", "--out", "contacts.csv"]],
  ["the rejects", ["enrich", "contacts.csv", "--rejects", "./contacts.csv"]],
  ["the rejects of an import", ["import", "contacts.csv", "--rejects", "contacts.csv"]],
])("%s never replace the input", async (_what, args) => {
  const before = await readFile(stage.path("contacts.csv"), "utf8");
  const refused = await stage.run(args);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("cannot be both");
  expect(await readFile(stage.path("contacts.csv"), "utf8")).toBe(before);
});

test("rejects that cannot be written are said to be so", async () => {
  const refused = await stage.run(["import", "contacts.csv", "--rejects", "nowhere/rejects.csv"]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("cannot write nowhere/rejects.csv (ENOENT)");
});

test("a simulated run calls no real instance, whatever is due there, and leaves its contacts due", async () => {
  await stage.acceptChats(instanceId, ["79001230001@c.us", "79001230002@c.us"]);
  const before = stage.simulator.stats().calls;
  await stage.write("few.csv", "chat_id\n79001234501@c.us\n79001234502@c.us\n");
  const simulated = await stage.run(["enrich", "few.csv", "--simulate"]);
  expect(simulated.code).toBe(0);
  expect(stage.simulator.stats().calls).toBe(before);
  expect(await stage.countPending(instanceId)).toBeGreaterThanOrEqual(2);
});

test("a real run does not call for what a simulated one has left", async () => {
  await stage.database.pool.query("update avatars.instances set state = 'active' where id = '0000000000'");
  await stage.acceptChats("0000000000", ["79001230009@c.us"]);
  const done = await stage.run(["enrich", "few.csv", "--instance", instanceId]);
  expect(done.code).toBe(0);
  const [left] = await stage
    .readContacts("0000000000")
    .then((all) => all.filter((contact) => contact.pending));
  expect(left).toMatchObject({ chatId: "79001230009@c.us", attempts: 0, status: "unknown" });
});
