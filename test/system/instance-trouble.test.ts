import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Simulator } from "../../src/simulator/start-simulator.ts";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats, openStage, toAnswers, toTruths, type Stage } from "../support/stage.ts";

type Trouble = (simulator: Simulator, instanceId: string) => void;

const answering =
  (answer: Parameters<Simulator["script"]>[0]["answers"][number]): Trouble =>
  (simulator, instanceId) =>
    simulator.script({ instanceId, answers: [answer], times: "forever" });
const inState =
  (state: string): Trouble =>
  (simulator, instanceId) =>
    simulator.setState(instanceId, state);

/** What happens, the reason that is told, and words of what a person reads. */
const troubles: [string, Trouble, string, RegExp][] = [
  ["logged out", inState("notAuthorized"), "not-authorized", /logged out of WhatsApp.*[^]*QR code/],
  [
    "a wrong token",
    (simulator, id) => simulator.setToken("another", id),
    "unauthorized",
    /refuses the instance's token/,
  ],
  ["a 401 in disguise", answering("disguised-401"), "unauthorized", /refuses the instance's token/],
  ["a 403", answering("forbidden-403"), "unauthorized", /refuses the instance's token/],
  ["expired", inState("expired"), "expired", /is expired[^]*pay for the instance/],
  ["deleted", inState("deleted"), "deleted", /is deleted[^]*avatars instance remove/],
  [
    "blocked",
    answering({ status: 400, body: JSON.stringify({ message: "Instance account is blocked" }) }),
    "blocked",
    /account is blocked/,
  ],
  ["a spent quota", answering("quota-466"), "quota-exhausted", /monthly quota is spent[^]*1st of next month/],
  ["a 404", answering("not-found-404"), "not-found", /knows no such instance or path/],
];
/** Those that have an answer from before, and new ones. */
const chats = makeChats(40);
const known = chats.slice(0, 30);
const maxInFlight = 5;

interface HeldStatus {
  readonly instanceId: string;
  readonly state: string;
  readonly heldReason?: string;
  readonly due: number;
  readonly claimed: number;
}

describe.each(listBackends())("an instance in trouble with the queue in $name", (backend) => {
  let stage: Stage;
  let lastId = 1_101_000_000;

  beforeAll(async () => {
    const env = { AVATARS_REQUESTS_PER_SECOND: "500", AVATARS_MAX_IN_FLIGHT: String(maxInFlight) };
    stage = await openStage({ backend, env, latencyMs: 20 });
    await stage.write("contacts.csv", `chat_id\n${chats.join("\n")}\n`);
  });

  afterAll(() => stage.close());

  const readCalls = (instanceId: string) => stage.simulator.readLog({ instanceId, method: "getAvatar" });
  const makeWell = (instanceId: string) => {
    stage.simulator.clearScripts({ instanceId });
    stage.simulator.setState(instanceId, "authorized");
    stage.simulator.setToken(undefined, instanceId);
  };

  /** New instances, whose known contacts have had their answers already. */
  async function prepare(count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, () => String((lastId += 1)));
    for (const id of ids) {
      await stage.addInstance(id);
      await stage.database.pool.query("select avatars.enqueue($1, $2)", [id, known]);
    }
    const worker = await stage.startWorker();
    await eventually(async () => {
      for (const id of ids) expect(await stage.countPending(id)).toBe(0);
    });
    worker.child.kill("SIGTERM");
    await worker.ended;
    stage.simulator.clearLog();
    return ids;
  }

  async function prepareOne(): Promise<string> {
    const [id = ""] = await prepare(1);
    return id;
  }

  const askAgain = (id: string) =>
    stage.database.pool.query("select avatars.enqueue($1, $2, max_age => '0')", [id, chats]);

  async function readHeldStatuses(): Promise<Map<string, HeldStatus>> {
    const { stdout } = await stage.run(["status", "--json"]);
    const { instances } = JSON.parse(stdout) as { instances: HeldStatus[] };
    return new Map(instances.map((instance) => [instance.instanceId, instance]));
  }

  /** Everybody is still due, with no attempt spent, and as the known ones were before. */
  async function expectNobodyHarmed(id: string): Promise<void> {
    const contacts = await stage.readContacts(id);
    const unasked = chats.slice(known.length).map((chatId) => ({ chatId, status: "unknown", version: null }));
    expect(toAnswers(contacts)).toEqual([...toTruths(stage.simulator, id, known), ...unasked]);
    expect(contacts.filter(({ attempts, claimed, pending }) => attempts > 0 || claimed || !pending)).toEqual(
      [],
    );
  }

  async function expectAllAnswered(id: string): Promise<void> {
    await eventually(async () => expect(await stage.countPending(id)).toBe(0));
    expect(toAnswers(await stage.readContacts(id))).toEqual(toTruths(stage.simulator, id, chats));
  }

  test("a worker holds each with its reason after its first calls, harms no contact, and goes on when it is well", async () => {
    const ids = await prepare(troubles.length + 1);
    const well = ids.at(-1) ?? "";
    for (const [index, [, make]] of troubles.entries()) make(stage.simulator, ids[index]!);
    for (const id of ids) await askAgain(id);
    const worker = await stage.startWorker();
    await eventually(async () => {
      const sql = "select id from avatars.instances where state = 'held' and id = any($1)";
      expect((await stage.database.pool.query(sql, [ids])).rows).toHaveLength(troubles.length);
    });
    // The one that is well is not held up by the others.
    await expectAllAnswered(well);
    await eventually(() => expect(stage.simulator.stats().inFlight).toBe(0));
    await eventually(async () => {
      for (const [index] of troubles.entries()) await expectNobodyHarmed(ids[index]!);
    });
    const statuses = await readHeldStatuses();
    for (const [index, [, , reason]] of troubles.entries()) {
      const id = ids[index]!;
      expect(statuses.get(id)).toMatchObject({
        state: "held",
        heldReason: reason,
        due: chats.length,
        claimed: 0,
      });
      // Those in flight at the first sign, and a probe or two where a hold is short.
      expect(readCalls(id).length).toBeLessThanOrEqual(maxInFlight + 2);
    }

    for (const id of ids) makeWell(id);
    // As if the time of the holds had passed.
    await stage.database.pool.query("update avatars.instances set held_until = now() where state = 'held'");
    for (const id of ids) await expectAllAnswered(id);
    worker.child.kill("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(new Set([...(await readHeldStatuses()).values()].map(({ state }) => state))).toEqual(
      new Set(["active"]),
    );
  });

  // What it says does not depend on the queue.
  const said = backend.name === "PostgreSQL" ? troubles : troubles.slice(0, 1);
  test.each(said)(
    "enrich meets %s: it says why it ends, what is left, and how to go on",
    async (...trouble) => {
      const [, make, , explanation] = trouble;
      const id = String((lastId += 1));
      await stage.addInstance(id);
      make(stage.simulator, id);
      const held = await stage.run(["enrich", "contacts.csv", "--instance", id]);
      expect(held.code).toBe(1);
      expect(held.stdout).toMatch(explanation);
      expect(held.stdout).toContain(`instance ${id} is held`);
      expect(held.stdout).toContain(`${chats.length} contacts are left, none of them failed`);
      expect(held.stdout).toMatch(
        new RegExp(`then continue with: (npx )?avatars enrich contacts.csv --instance ${id}$`, "m"),
      );
      expect(readCalls(id).length).toBeLessThanOrEqual(maxInFlight);
      expect((await stage.readContacts(id)).filter(({ attempts }) => attempts > 0)).toEqual([]);
    },
  );

  test("the command that enrich names continues, and completes what was left", async () => {
    const id = await prepareOne();
    stage.simulator.setState(id, "notAuthorized");
    const held = await stage.run(["enrich", "contacts.csv", "--instance", id, "--max-age", "0"]);
    expect(held.code).toBe(1);
    await expectNobodyHarmed(id);
    makeWell(id);
    const [, command = ""] = /then continue with: (?:npx )?avatars (.*)$/m.exec(held.stdout) ?? [];
    expect(await stage.run(command.split(" "))).toMatchObject({ code: 0 });
    await expectAllAnswered(id);
  });

  test("enrich waits while an instance is throttled or starting, and then all is done", async () => {
    const [throttled = "", starting = ""] = await prepare(2);
    const answers = ["throttled-429-seconds", "throttled-429", "rate-overlimit"] as const;
    stage.simulator.script({ instanceId: throttled, answers });
    stage.simulator.setState(starting, "starting");
    const runs = [throttled, starting].map((id) =>
      stage.start(["enrich", "contacts.csv", "--instance", id, "--max-age", "0", "--out", `${id}.csv`]),
    );
    await eventually(async () => {
      const statuses = await readHeldStatuses();
      expect(statuses.get(starting)?.heldReason).toBe("starting");
    });
    await expectNobodyHarmed(starting);
    makeWell(starting);
    for (const run of runs) expect(await run.ended).toMatchObject({ code: 0 });
    await expectAllAnswered(throttled);
    await expectAllAnswered(starting);
  });

  test("a held instance is probed by one call at a time", async () => {
    const id = await prepareOne();
    stage.simulator.script({ instanceId: id, answers: ["throttled-429"], times: "forever" });
    await askAgain(id);
    const worker = await stage.startWorker();
    await eventually(() => expect(readCalls(id).length).toBeGreaterThanOrEqual(maxInFlight + 2));
    const { rows } = await stage.database.pool.query<{ holds: number }>(
      "select hold_count as holds from avatars.instances where id = $1",
      [id],
    );
    // Each further call was a probe after a hold of its own.
    expect(readCalls(id).length - maxInFlight).toBeLessThanOrEqual(rows[0]?.holds ?? 0);
    // A probe claims its contact while it is in flight.
    await eventually(() => expectNobodyHarmed(id));
    makeWell(id);
    await expectAllAnswered(id);
    await eventually(() => expect(worker.printed()).toContain("instance works again"));
    worker.child.kill("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
  });
});
