import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { parseChatId } from "../../src/domain/chat-id.ts";
import { explainHold } from "../../src/domain/trouble/hold.ts";
import type { ScriptedAnswer } from "../../src/simulator/world/scripts.ts";
import type { CliResult } from "../support/run-cli.ts";
import { findStackLines, openStage, readCsv, type Stage } from "../support/stage.ts";

const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const empty: ScriptedAnswer = { status: 200, body: "[]" };

let stage: Stage;
/** All that any command has printed. */
let printed = "";
let lastId = 1_101_000_000;

beforeAll(async () => {
  stage = await openStage({ token, env: { LOG_LEVEL: "info" } });
});

afterEach(() => {
  expect(printed).not.toContain(token.slice(0, 8));
  expect(findStackLines(printed)).toEqual([]);
});

afterAll(() => stage.close());

/** Each test has its own, so that none waits for the turn of another. */
async function addInstance(): Promise<string> {
  lastId += 1;
  const id = String(lastId);
  await stage.addInstance(id, { token });
  return id;
}

async function run(...args: string[]): Promise<CliResult> {
  const result = await stage.run(args);
  printed += result.stdout + result.stderr;
  return result;
}

const importFrom = (id: string, ...args: string[]) => run("import", "--from-instance", id, ...args);

function script(instanceId: string, ...answers: ScriptedAnswer[]): void {
  stage.simulator.script({ method: "getContacts", instanceId, answers });
}

/** How its calls of getContacts were answered. */
const readCalls = (instanceId: string) =>
  stage.simulator.readLog({ instanceId, method: "getContacts" }).map(({ status }) => status);

async function readBatches(instanceId: string) {
  const { rows } = await stage.database.pool.query<Record<string, unknown>>(
    `select id, source, label, accepted, rejected, priority from avatars.batches
     where instance_id = $1 and completed_intake_at is not null`,
    [instanceId],
  );
  return rows;
}

async function readState(instanceId: string): Promise<string | undefined> {
  const { rows } = await stage.database.pool.query<{ state: string }>(
    "select state from avatars.instances where id = $1",
    [instanceId],
  );
  return rows[0]?.state;
}

async function setState(instanceId: string, state: "held" | "paused"): Promise<void> {
  await stage.database.pool.query(
    `update avatars.instances set state = $2, held_until = now() + interval '1 hour',
       held_reason = case when $2 = 'held' then 'unauthorized' end, held_since = case when $2 = 'held' then now() end
     where id = $1`,
    [instanceId, state],
  );
}

/** The last line of a command that failed, which is the only one that is no log. */
function expectRefusal({ code, stdout, stderr }: CliResult, message: string): void {
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  const told = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  expect(told).toEqual([expect.stringContaining(`avatars: ${message}`)]);
}

// A command is mostly the start of a process: several at a time, and what goes well is checked in few of them.
describe.concurrent("the contact list of an instance", () => {
  test("is enqueued for it: users and groups; newsletters and the broadcast are rejects; one call a second when two ask", async () => {
    const id = await addInstance();
    const [imported, second] = await Promise.all([
      importFrom(id),
      importFrom(id, "--label", "second", "--rejects", "second.rejects.csv"),
    ]);
    for (const { code, stdout } of [imported, second]) {
      expect(code).toBe(1);
      expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/);
    }
    // The simulator refuses a second one within any second.
    expect(readCalls(id)).toEqual([200, 200]);
    const list = stage.simulator.contacts(id).map((contact) => contact.id);
    const good = list.filter((listed) => parseChatId(listed).ok);
    expect(good.filter((listed) => listed.endsWith("@g.us"))).toHaveLength(8);
    const stored = await stage.readContacts(id);
    expect(stored.map(({ chatId }) => chatId)).toEqual(good.toSorted());
    // Names stay where they are.
    expect(stored.filter(({ externalRef }) => externalRef !== null)).toEqual([]);
    const batches = await readBatches(id);
    expect(batches).toHaveLength(2);
    expect(batches).toContainEqual({
      id: imported.stdout.trim(),
      source: "instance",
      label: `contacts of ${id}`,
      accepted: good.length,
      rejected: 2,
      priority: 1,
    });
    const rejects = await readCsv(stage.path(`instance-${id}.rejects.csv`));
    expect(rejects.map(({ line, text }) => list[Number(line) - 1] === text)).toEqual([true, true]);
    expect(rejects.map(({ reason }) => reason).join()).toMatch(/unknown kind of chat "@newsletter"/);
    expect(imported.stderr).toMatch(/^row \d+: unknown kind of chat/m);
    expect(imported.stderr).toContain(`2 rows are no contacts, listed in instance-${id}.rejects.csv`);
  });

  test("is asked for again after the wait that a refusal asks for, and once where it is empty; a held instance stays held", async () => {
    const id = await addInstance();
    await setState(id, "held");
    stage.simulator.setContacts({ users: 2, groups: 1, others: 0 }, id);
    script(id, { status: 429, headers: { "retry-after": "1" } }, empty);
    const options = ["--label", "all of them", "--priority", "2", "--instance", id, "--json"];
    const imported = await importFrom(id, ...options);
    expect(imported.code).toBe(0);
    expect(JSON.parse(imported.stdout)).toMatchObject({ accepted: 3 });
    expect(imported.stderr).toContain("GREEN-API asks to wait: next try in 1 s");
    expect(readCalls(id)).toEqual([429, 200, 200]);
    expect(await readBatches(id)).toMatchObject([{ label: "all of them", priority: 2, accepted: 3 }]);
    expect(await readState(id)).toBe("held");
  });

  test("that is empty twice is no success, and makes no batch", async () => {
    const id = await addInstance();
    script(id, empty, empty, empty);
    expectRefusal(await importFrom(id), `GREEN-API lists no contacts for instance ${id}, asked twice`);
    expect(readCalls(id)).toEqual([200, 200]);
    expect(await readBatches(id)).toEqual([]);
  });

  test.each<[string, ScriptedAnswer, string]>([
    ["a wrong token", "unauthorized-401", explainHold("unauthorized").text],
    ["a wrong token in disguise", "disguised-401", explainHold("unauthorized").text],
    ["a starting instance", "starting-400", "the instance is starting; try again in a few minutes"],
    ["a page", "html-200", "the answer is no list of contacts"],
    ["an error that echoes the token", "unknown-400", "there was no answer (HTTP_400)"],
  ])("with %s is an error, and nothing is held", async (_what, answer, text) => {
    const id = await addInstance();
    script(id, answer);
    const refused = await importFrom(id);
    expectRefusal(refused, `GREEN-API does not list the contacts of instance ${id}: `);
    expect(refused.stderr).toContain(text);
    expect(readCalls(id)).toHaveLength(1);
    expect(await readBatches(id)).toEqual([]);
    expect(await readState(id)).toBe("active");
  });

  test("of a paused instance is not asked for", async () => {
    const id = await addInstance();
    await setState(id, "paused");
    expectRefusal(await importFrom(id), `instance ${id} is paused`);
    expect(readCalls(id)).toEqual([]);
  });

  test("of an unknown instance is none", async () => {
    expectRefusal(await importFrom("4"), "there is no instance 4: see npx avatars instance list");
  });
});
