import { afterAll, beforeAll, describe, expect, test, type TestContext } from "vitest";
import { openCrm, type Crm } from "../support/crm.ts";
import { eventually } from "../support/eventually.ts";
import type { CliResult, CliRun } from "../support/run-cli.ts";
import { findStackLines, openStage, readCsv, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";

const tables = `
  create table crm.customers (id bigint primary key, phone varchar(40), chat_id text, name text);
  insert into crm.customers values
    (1, '79001000001', null, 'Maria'),
    (2, '  +7 900 100-00-02 ', null, 'Peter'),
    (3, 'ask Maria', null, 'O''Hara'),
    (4, null, null, 'Zoë'),
    (5, '79001000005', '120363000012345678@g.us', 'a group'),
    (6, '8 (900) 100-00-06', null, 'national')`;

let stage: Stage;
let crm: Crm;

beforeAll(async () => {
  [stage, crm] = await Promise.all([openStage(), openCrm(tables)]);
  await stage.addInstance(instanceId);
});

afterAll(async () => {
  await stage.close();
  await crm.close();
});

async function importQuery(query: string, args: string[] = [], env: Record<string, string> = {}) {
  const result = await stage.run(["import", "--from-query", query, ...args], {
    env: { AVATARS_SOURCE_URL: crm.url, ...env },
  });
  expect(result.stdout + result.stderr).not.toContain("hunter2");
  return result;
}

/** The batches, each with how many contacts it has. */
async function readBatches(label: string) {
  const { rows } = await stage.database.pool.query<Record<string, unknown>>(
    `select source, accepted, rejected, completed_intake_at is not null as complete
     from avatars.batches where label = $1`,
    [label],
  );
  return rows;
}

/** Exit code 2, nothing on standard output, one line without a stack. */
function expectRefusal({ code, stdout, stderr }: CliResult, message: RegExp): void {
  expect(stderr.split("\n").filter((line) => line !== "")).toEqual([expect.stringMatching(message)]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(findStackLines(stderr)).toEqual([]);
}

test("a query becomes a batch: good rows are in, bad ones are reported by their numbers, and the exit code is 1", async () => {
  const imported = await importQuery(
    "select id as external_ref, name, phone, chat_id from crm.customers order by id",
  );
  expect(imported.code).toBe(1);
  expect(imported.stdout).toMatch(/^[0-9a-f-]{36}\n$/);
  expect(imported.stderr).toContain("row 3: ");
  expect(imported.stderr).toContain("3 rows are no contacts, listed in query.rejects.csv");
  expect(await readBatches("query")).toEqual([{ source: "query", accepted: 3, rejected: 3, complete: true }]);
  expect(
    (await stage.readContacts(instanceId)).map(({ chatId, externalRef }) => `${chatId} ${externalRef}`),
  ).toEqual(["120363000012345678@g.us 5", "79001000001@c.us 1", "79001000002@c.us 2"]);
  expect(await readCsv(stage.path("query.rejects.csv"))).toEqual([
    expect.objectContaining({ line: "3", text: "3,O'Hara,ask Maria," }),
    { line: "4", text: "4,Zoë,,", reason: "no chat id or phone number", place: "" },
    expect.objectContaining({ line: "6" }),
  ]);
});

test.concurrent("the options of files hold for a query, and --source-url comes before the setting", async () => {
  const query = "select name, phone as kontakt from crm.customers where id in (3, 6) order by id desc;";
  const columns = ["--column", "kontakt", "--ref-column", "name", "--default-country", "RU"];
  const imported = await importQuery(
    query,
    [...columns, "--strict", "--label", "strict", "--source-url", crm.url],
    { AVATARS_SOURCE_URL: "postgres://127.0.0.1:1/elsewhere" },
  );
  expectRefusal(imported, /^avatars: row 2: .*With --strict the first bad row ends the import/);
  expect(await readBatches("strict")).toMatchObject([{ accepted: 1, complete: false }]);
  const contacts = await stage.readContacts(instanceId);
  expect(contacts).toContainEqual(
    expect.objectContaining({ chatId: "79001000006@c.us", externalRef: "national" }),
  );
});

function wrongPassword(): string {
  return crm.url.replace(/hunter2[^@]*/, "hunter2-wrong");
}

describe.concurrent("what is refused in one line, without a batch, without the password", () => {
  test.each<[string, string, () => Record<string, string>, RegExp]>([
    [
      "a wrong password",
      "select phone from crm.customers",
      () => ({ AVATARS_SOURCE_URL: wrongPassword() }),
      /refuses the user or the password \(28P01\)/,
    ],
    [
      "a query that writes",
      "with gone as (delete from crm.customers returning phone) select phone from gone",
      () => ({}),
      /the query must be one SELECT/,
    ],
    ["no rows", "select phone from crm.customers where false", () => ({}), /the query holds no contacts/],
  ])("%s", async (what, query, env, message) => {
    expectRefusal(await importQuery(query, ["--label", what], env()), message);
    // That there are no rows is known when all have been read.
    expect(await readBatches(what)).toHaveLength(what === "no rows" ? 1 : 0);
    expect(await crm.query("select * from crm.customers")).toHaveLength(6);
  });

  test("also with LOG_LEVEL=debug", async () => {
    const env = { AVATARS_SOURCE_URL: wrongPassword(), LOG_LEVEL: "debug" };
    expect(await importQuery("select 1", [], env)).toMatchObject({ code: 2 });
  });
});

/** 12,000 rows at once, then one that takes for ever. */
function half(from: number): string {
  return `
    select ${from} + i as phone, case when i > 12000 then pg_sleep(100)::text end as note
    from generate_series(1, 13000) i`;
}

/** How many of its rows are contacts already. */
async function countContacts(from: number): Promise<number | undefined> {
  const { rows } = await stage.database.pool.query<{ count: number }>(
    "select count(*)::int as count from avatars.contacts where chat_id between $1 and $2",
    [`${from + 1}@c.us`, `${from + 13_000}@c.us`],
  );
  return rows[0]?.count;
}

/** Imports the 12,000 from a database of its own, and waits in the one that takes for ever. */
async function startHalf(
  from: number,
  onTestFinished: TestContext["onTestFinished"],
): Promise<{ run: CliRun; source: Crm }> {
  const source = await openCrm("");
  onTestFinished(source.close);
  const run = stage.start(["import", "--from-query", half(from)], {
    env: { AVATARS_SOURCE_URL: source.url },
  });
  await eventually(async () => {
    expect(await countContacts(from)).toBe(10_000);
    const waiting = await source.query(
      `select from pg_stat_activity ${source.sessions} and wait_event = 'PgSleep'`,
    );
    expect(waiting).toHaveLength(1);
  });
  return { run, source };
}

describe.concurrent("a source that goes half way", () => {
  test("is told, and what was read is kept", async ({ onTestFinished }) => {
    const from = 79_002_000_000;
    const { run, source } = await startHalf(from, onTestFinished);
    await source.query(`select pg_terminate_backend(pid) from pg_stat_activity ${source.sessions}`);
    expectRefusal(
      await run.ended,
      /the connection to the source at \S+ was lost \(57P01\): what was read before is kept/,
    );
    expect(run.printed()).not.toContain("hunter2");
    expect(await countContacts(from)).toBe(12_000);
  });

  test("because of a deadline is told too", async () => {
    const from = 79_003_000_000;
    const imported = await importQuery(half(from), [], { AVATARS_SOURCE_TIMEOUT_MS: "1500" });
    expectRefusal(imported, /gave no rows within 1500 ms/);
    expect(await countContacts(from)).toBe(12_000);
  });

  test("by Ctrl-C ends at once, here and there", async ({ onTestFinished }) => {
    const from = 79_004_000_000;
    const { run, source } = await startHalf(from, onTestFinished);
    run.child.kill("SIGINT");
    expect(await run.ended).toMatchObject({ code: 130, stdout: "" });
    expect(run.printed()).toContain("stopped before the end of the query; what was read is kept");
    expect(await countContacts(from)).toBe(12_000);
    await eventually(async () =>
      expect(await source.query(`select from pg_stat_activity ${source.sessions}`)).toEqual([]),
    );
  });
});
