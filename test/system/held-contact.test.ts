import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { openOutsider, type Outsider } from "../support/outsider.ts";
import { countAsked, makeChats, openStage, toAnswers, toTruths, type Stage } from "../support/stage.ts";

const [one, two] = ["1101000001", "1101000002"];
const [held = "", ...others] = makeChats(40);
const ofTwo = makeChats(60, 1_000);

/** Every number of an advisory lock that the product has, or had. */
const numbers = [
  "6272077465837",
  "6272077465838",
  "6272077465839",
  "6272077465840",
  "7265737901",
  "7265737902",
];

describe.each(listBackends().slice(0, 1))("a worker, with the queue in $name", (backend) => {
  let stage: Stage;
  let crm: Outsider;

  beforeAll(async () => {
    // Long enough for the CRM to take its contact while the call is under way.
    stage = await openStage({ backend, latencyMs: 4_000, requestsPerSecond: 1_000 });
    await stage.addInstance(one);
    await stage.addInstance(two);
    crm = await openOutsider(stage.database);
  });
  afterAll(async () => {
    await crm.close();
    await stage.close();
  });

  test("saves the answers of all contacts but the one that a CRM holds, and that one after its commit, each with one call", async () => {
    const { simulator } = stage;
    const worker = await stage.startWorker();
    await stage.importChats(one, [held]);
    await eventually(() => expect(countAsked(simulator, one).get(held)).toBe(1));
    await crm.enqueue(one, [held]);
    for (const number of numbers) await crm.query("select pg_advisory_lock($1)", [number]);
    await Promise.all([stage.importChats(one, others), stage.importChats(two, ofTwo)]);

    await eventually(async () => {
      expect([await stage.countPending(one), await stage.countPending(two)]).toEqual([1, 0]);
    });
    await eventually(() => expect(worker.printed()).toContain("lookups put aside"));
    await crm.query("commit");
    await eventually(async () => expect(await stage.countPending(one)).toBe(0));
    for (const [instanceId, chats] of [
      [one, [held, ...others]],
      [two, ofTwo],
    ] as const) {
      expect(toAnswers(await stage.readContacts(instanceId))).toEqual(toTruths(simulator, instanceId, chats));
      expect([...countAsked(simulator, instanceId).values()]).toEqual(chats.map(() => 1));
    }
  });
});
