import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ScriptedAnswer } from "../../src/simulator/world/scripts.ts";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { chats, known, maxInFlight, openTroubleStage, type TroubleStage } from "../support/trouble-stage.ts";

type Trouble = (stage: TroubleStage, id: string) => void;

const answering =
  (answer: ScriptedAnswer): Trouble =>
  (stage, id) =>
    stage.answerAll(id, answer);
const inState =
  (state: string): Trouble =>
  (stage, id) =>
    stage.simulator.setState(id, state);

/** What happens, and words of what a person reads. */
const troubles: [string, Trouble, RegExp][] = [
  ["logged out", inState("notAuthorized"), /logged out of WhatsApp[^]*QR code/],
  ["a wrong token", (stage, id) => stage.simulator.setToken("another", id), /refuses the instance's token/],
  ["a 401 in disguise", answering("disguised-401"), /refuses the instance's token/],
  ["a 403", answering("forbidden-403"), /refuses the instance's token/],
  ["expired", inState("expired"), /is expired[^]*pay for the instance/],
  ["deleted", inState("deleted"), /is deleted[^]*npx avatars instance remove/],
  ["blocked", inState("blocked"), /account is blocked/],
  ["a spent quota", answering("quota-466"), /monthly quota is spent[^]*1st of next month/],
  ["404s", answering("not-found-404"), /knows no such instance or path/],
];
/** Signs that may be needed before it is believed, on top of the calls in flight at the first. */
const signs = 3;

describe.each(listBackends())("enrich with the queue in $name", (backend) => {
  let stage: TroubleStage;

  beforeAll(async () => {
    // Longer than a run of enrich: what it does by itself is all that happens.
    const env = { AVATARS_PROBE_BASE_MS: "60000", AVATARS_PROBE_MAX_MS: "600000" };
    stage = await openTroubleStage({ backend, env });
    await stage.write("contacts.csv", `chat_id\n${chats.join("\n")}\n`);
  });

  afterAll(() => stage.close());

  /** New instances, whose known contacts have had their answers already. */
  async function prepare(count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, () => stage.newId());
    for (const id of ids) {
      await stage.addInstance(id);
      await stage.enqueue(id, known);
    }
    const worker = await stage.startWorker();
    for (const id of ids) await stage.expectAllAnswered(id, known);
    worker.child.kill("SIGTERM");
    await worker.ended;
    return ids;
  }

  // What it says does not depend on the queue.
  const said = backend.name === "PostgreSQL" ? troubles : troubles.slice(0, 1);
  test.each(said)("meets %s: it says why it ends, what is left, and how to go on", async (...trouble) => {
    const [, begin, explanation] = trouble;
    const id = stage.newId();
    await stage.addInstance(id);
    begin(stage, id);
    const held = await stage.run(["enrich", "contacts.csv", "--instance", id]);
    expect(held.code).toBe(1);
    expect(held.stdout).toMatch(explanation);
    expect(held.stdout).toContain(`instance ${id} is held`);
    expect(held.stdout).toContain(`${chats.length} contacts are left, none of them failed`);
    expect(held.stdout).toMatch(
      new RegExp(`then continue with: npx avatars enrich contacts.csv --instance ${id}$`, "m"),
    );
    expect(stage.readCalls(id).length).toBeLessThanOrEqual(maxInFlight + signs);
    expect((await stage.readContacts(id)).filter(({ attempts }) => attempts > 0)).toEqual([]);
  });

  test("names a command that continues, and that completes what was left", async () => {
    const [id = ""] = await prepare(1);
    stage.simulator.setState(id, "notAuthorized");
    const held = await stage.run(["enrich", "contacts.csv", "--instance", id, "--max-age", "0"]);
    expect(held.code).toBe(1);
    await stage.expectNobodyHarmed(id);
    stage.makeWell(id);
    const [, command = ""] = /then continue with: (?:npx )?avatars (.*)$/m.exec(held.stdout) ?? [];
    expect(await stage.run(command.split(" "))).toMatchObject({ code: 0 });
    await stage.expectAllAnswered(id);
  });

  test("waits while an instance is throttled or starting, and then all is done", async () => {
    const [throttled = "", starting = ""] = await prepare(2);
    const answers = ["throttled-429-seconds", "throttled-429", "rate-overlimit"] as const;
    stage.simulator.script({ instanceId: throttled, answers });
    stage.simulator.setState(starting, "starting");
    const runs = [throttled, starting].map((id) =>
      stage.start(["enrich", "contacts.csv", "--instance", id, "--max-age", "0", "--out", `${id}.csv`], {
        env: { AVATARS_PROBE_BASE_MS: "300", AVATARS_PROBE_MAX_MS: "1200" },
      }),
    );
    await eventually(async () => expect((await stage.readTold(starting)).heldReason).toBe("starting"));
    await stage.expectNobodyHarmed(starting);
    stage.makeWell(starting);
    for (const run of runs) expect(await run.ended).toMatchObject({ code: 0 });
    await stage.expectAllAnswered(throttled);
    await stage.expectAllAnswered(starting);
  });
});
