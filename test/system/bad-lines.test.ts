import { mkdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listBackends } from "../support/backends.ts";
import type { CliResult } from "../support/run-cli.ts";
import { findStackLines, makeChats, openStage, readCsv, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
const badTexts = ["ask Maria", "", "n/a", "7.9E+10", "120363000012345678@newsletter"];

/** A header and 1000 lines, every fiftieth of which is no contact. */
function makeFile(): { text: string; badLines: number[]; chats: string[] } {
  const chats: string[] = [];
  const badLines: number[] = [];
  const lines = makeChats(1_000).map((chatId, index) => {
    if (index % 50 !== 49) {
      chats.push(chatId);
      return `${index},${chatId}`;
    }
    badLines.push(index + 2);
    return `${index},${badTexts[badLines.length % badTexts.length]}`;
  });
  return { text: ["id,chat_id", ...lines, ""].join("\n"), badLines, chats };
}

const file = makeFile();

describe.each(listBackends())("20 bad lines among 1000 with the queue in $name", (backend) => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ backend });
    await stage.addInstance(instanceId);
    await stage.write("contacts.csv", file.text);
  });

  afterAll(() => stage.close());

  test("980 are enriched, 20 are reported with their line numbers, and the exit code is 1", async () => {
    const enriched = await stage.run(["enrich", "contacts.csv"]);
    expect(enriched.code).toBe(1);
    expect(enriched.stdout).toMatch(/^total\s+980\s+0 duplicates, 20 lines that are no contacts$/m);
    expect(enriched.stderr).toContain("20 lines are no contacts, listed in contacts.rejects.csv");
    expect(findStackLines(enriched.stdout + enriched.stderr)).toEqual([]);
    const rows = await readCsv(stage.path("contacts.avatars.csv"));
    expect(rows.map((row) => row["chat_id"])).toEqual(file.chats);
    expect(rows.filter((row) => ["unknown", "unreachable"].includes(row["status"] ?? ""))).toEqual([]);
    const rejects = await readCsv(stage.path("contacts.rejects.csv"));
    expect(rejects.map((reject) => Number(reject["line"]))).toEqual(file.badLines);
    expect(rejects.every((reject) => reject["reason"])).toBe(true);
  });

  test("import takes the good ones, reports the bad ones, prints the batch alone, and exits with 1", async () => {
    const imported = await stage.run(["import", "contacts.csv", "--rejects", "bad.csv"]);
    expect(imported.code).toBe(1);
    expect(imported.stdout).toMatch(/^[0-9a-f-]{36}\n$/);
    expect((await readCsv(stage.path("bad.csv"))).map((reject) => Number(reject["line"]))).toEqual(
      file.badLines,
    );
  });

  test.each(["enrich", "import"])(
    "%s --strict ends at the first bad line, with its number",
    async (command) => {
      const refused = await stage.run([command, "contacts.csv", "--strict"]);
      expectRefusal(refused, new RegExp(`^avatars: line ${file.badLines[0]}: `));
    },
  );

  test("a file without bad lines removes the report of an earlier run and exits with 0", async () => {
    await stage.write("contacts.csv", `chat_id\n${file.chats.join("\n")}\n`);
    expect(await stage.run(["enrich", "contacts.csv"])).toMatchObject({ code: 0 });
    await expect(readCsv(stage.path("contacts.rejects.csv"))).rejects.toThrow("ENOENT");
  });
});

/** Exit code 2, nothing on standard output, and one line that says what is wrong; never a stack trace. */
function expectRefusal({ code, stdout, stderr }: CliResult, message: RegExp): void {
  const lines = stderr.split("\n").filter((line) => line !== "" && !isAccompanying(line));
  expect(lines).toEqual([expect.stringMatching(message)]);
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(findStackLines(stderr)).toEqual([]);
}

/** What enrich says of its data and its progress before, and the hint after wrong usage. */
function isAccompanying(line: string): boolean {
  return /^(data: |\d+\/\d+\+ · )/.test(line) || line === "run it with --help to see what it takes";
}

describe.concurrent("what cannot be done is refused in one line", () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage();
    await stage.addInstance(instanceId);
    await stage.write("empty.csv", "");
    await stage.write("header.csv", "name,chat_id\n");
    await stage.write("names.csv", "name,city\nMaria,Riga\n");
    await stage.write("words.csv", "chat_id\nMaria\nPeter\n");
    await stage.write("good.csv", "chat_id\n79001000001@c.us\n");
    await mkdir(stage.path("folder"));
  });

  afterAll(() => stage.close());

  test.each([
    ["a missing file", "missing.csv", /missing\.csv: there is no such file/],
    ["a directory", "folder", /folder: it is a directory/],
    ["an empty file", "empty.csv", /empty\.csv holds no contacts/],
    ["a file with only a header", "header.csv", /header\.csv holds no contacts/],
    ["a file without a column of contacts", "names.csv", /no column is called .*"name", "city".*--column/],
    ["a file without a single contact", "words.csv", /none of the 2 lines of words\.csv is a contact/],
  ])("%s", async (_what, name, message) => {
    for (const command of ["import", "enrich"]) {
      const { stderr, ...refused } = await stage.run([command, name]);
      const withoutRejects = stderr.replace(/^line \d+: .*\n/gm, "");
      expectRefusal({ ...refused, stderr: withoutRejects }, message);
    }
  });

  test.each([
    ["an unknown column", ["import", "good.csv", "--column", "mobile"], /no column "mobile" .*"chat_id"/],
    ["an unknown country", ["import", "good.csv", "--default-country", "XX"], /unknown default country "XX"/],
    ["an unknown option", ["enrich", "good.csv", "--fast"], /unknown option '--fast'/],
    ["an unknown command", ["enhanced-mode"], /unknown command 'enhanced-mode'/],
    ["no file", ["enrich"], /missing required argument 'file'/],
    ["a bad instance id", ["enrich", "good.csv", "--instance", "abc"], /'abc' is invalid.*digits/],
    ["an unknown instance", ["enrich", "good.csv", "--instance", "77"], /there is no instance 77/],
    ["a bad duration", ["enrich", "good.csv", "--max-age", "3y"], /"3y" is no duration; expected e\.g\. 7d/],
    ["a bad priority", ["import", "good.csv", "--priority", "9"], /Expected 0, 1 or 2/],
    ["an unknown format", ["enrich", "good.csv", "--out", "a.xlsx"], /a\.xlsx: .*\.csv or \.ndjson/],
    ["a folder that is not there", ["export", "--out", "no/a.csv"], /cannot write no\/a\.csv \(ENOENT\)/],
    ["an unknown status", ["export", "--out", "a.csv", "--status", "gone"], /Expected any of present/],
    [
      "a bad batch id",
      ["export", "--out", "a.csv", "--batch", "7"],
      /Expected the id that npx avatars import/,
    ],
    [
      "an unknown batch",
      ["export", "--out", "a.csv", "--batch", "00000000-0000-0000-0000-000000000000"],
      /there is no batch/,
    ],
  ])("%s", async (_what, args, message) => {
    expectRefusal(await stage.run(args), message);
  });

  test("bad settings, all of them at once and by their names", async () => {
    const env = {
      AVATARS_MAX_ATTEMPTS: "many",
      AVATARS_REQUESTS_PER_SECOND: "-1",
      LOG_LEVEL: "loud",
      REDIS_URL: "x",
    };
    const refused = await stage.run(["status"], { env });
    for (const name of Object.keys(env))
      expectRefusal(refused, new RegExp(`^avatars: settings: .*${name} must be`));
  });

  test("a part of the credentials", async () => {
    const env = { GREEN_API_URL: stage.simulator.url };
    expectRefusal(
      await stage.run(["status"], { env }),
      /GREEN_API_ID_INSTANCE and GREEN_API_TOKEN must be set/,
    );
  });

  test.each(["status", "worker", "migrate"])("%s with a database that does not answer", async (command) => {
    const env = { DATABASE_URL: "postgres://postgres:hunter2@127.0.0.1:1/crm" };
    const refused = await stage.run([command], { env });
    expectRefusal(
      refused,
      /cannot connect to Postgres at 127\.0\.0\.1:1\/crm \(ECONNREFUSED\): check DATABASE_URL/,
    );
    expect(refused.stderr).not.toContain("hunter2");
  });

  test("a Redis that does not answer", async () => {
    const env = { REDIS_URL: "redis://:hunter2@127.0.0.1:1" };
    const refused = await stage.run(["worker"], { env });
    const { stderr } = refused;
    // Log lines of the worker may come before it.
    expectRefusal(
      { ...refused, stderr: stderr.replace(/^\{.*\}\n/gm, "") },
      /cannot connect to Redis.*REDIS_URL/,
    );
    expect(stderr).not.toContain("hunter2");
  });

  describe("a database without tables", () => {
    const name = `bare_${process.pid}_${Date.now()}`;
    let url: URL;

    beforeAll(async () => {
      await stage.database.pool.query(`create database ${name} template template0`);
      await stage.database.pool.query(`create role ${name} login password 'hunter2'`);
      url = new URL(stage.database.url);
      url.pathname = `/${name}`;
    });

    afterAll(async () => {
      await stage.database.pool.query(`drop database if exists ${name} with (force)`);
      await stage.database.pool.query(`drop role if exists ${name}`);
    });

    test.each([["status"], ["worker"], ["import", "good.csv"], ["instance", "list"]])(
      "%s",
      async (...args) => {
        const refused = await stage.run(args, { env: { DATABASE_URL: url.href } });
        expectRefusal(refused, /holds no contact-avatars tables yet: run npx avatars migrate first/);
      },
    );

    test("migrate as a role that may not create schemas names the cause", async () => {
      const limited = new URL(url);
      limited.username = name;
      limited.password = "hunter2";
      const refused = await stage.run(["migrate"], { env: { DATABASE_URL: limited.href } });
      expectRefusal(
        refused,
        /cannot be migrated \(42501\): check that the role of DATABASE_URL may create schemas/,
      );
      expect(refused.stderr).not.toContain("hunter2");
    });
  });

  test.each([
    ["worker"],
    ["enrich", "good.csv"],
    ["instance", "add", "78", "--url", "http://127.0.0.1:1", "--token", "t"],
  ])("%s without AVATARS_SECRET_KEY", async (...args) => {
    expectRefusal(
      await stage.run(args, { env: { AVATARS_SECRET_KEY: "" } }),
      /AVATARS_SECRET_KEY must be set.*openssl rand -base64 32/,
    );
  });

  test.each([["worker"], ["enrich", "good.csv"]])("%s with another AVATARS_SECRET_KEY", async (...args) => {
    const env = { AVATARS_SECRET_KEY: Buffer.alloc(32, 8).toString("base64") };
    expectRefusal(await stage.run(args, { env }), /AVATARS_SECRET_KEY opens none of the stored tokens/);
  });
});
