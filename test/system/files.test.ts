import { execFile, execFileSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { link, lstat, readdir, readFile, symlink } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { bin } from "../support/run-cli.ts";
import { makeChats, openStage, readCsv, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
const run = promisify(execFile);
let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
  await stage.addInstance(instanceId);
  await stage.write("contacts.csv", `chat_id\n${makeChats(20).join("\n")}\n`);
});

afterAll(() => stage.close());

/** Starts a command and resolves when it has opened its database: it minds signals then. */
async function startConnected(args: readonly string[]) {
  const [before] = (await stage.database.pool.query<{ at: string }>("select clock_timestamp()::text as at"))
    .rows;
  const started = stage.start(args);
  await eventually(async () => {
    const { rows } = await stage.database.pool.query(
      `select 1 from pg_stat_activity
       where datname = current_database() and client_port is not null and backend_start > $1
         and pid <> pg_backend_pid()`,
      [before?.at],
    );
    expect(rows.length).toBeGreaterThan(0);
  });
  return started;
}

/** The command as $NODE "$BIN", with the settings of the stage. */
async function runInShell(line: string) {
  const env = { PATH: process.env["PATH"] ?? "", ...stage.env, NODE: process.execPath, BIN: bin };
  return run("sh", ["-c", line], { cwd: stage.folder, env });
}

describe("what enrich and export write", () => {
  test("leaves alone a file that is called like a draft of it, also when that is the input", async () => {
    const text = await readFile(stage.path("contacts.csv"), "utf8");
    await stage.write("list.csv.part", text);
    expect(await stage.run(["enrich", "list.csv.part", "--out", "list.csv"])).toMatchObject({ code: 0 });
    expect(await readFile(stage.path("list.csv.part"), "utf8")).toBe(text);
    await stage.write("out.csv.part", "notes");
    expect(await stage.run(["export", "--out", "out.csv"])).toMatchObject({ code: 0 });
    expect(await readFile(stage.path("out.csv.part"), "utf8")).toBe("notes");
    expect(await readCsv(stage.path("out.csv"))).toHaveLength(20);
    expect((await readdir(stage.folder)).filter((name) => name.endsWith(".part"))).toEqual([
      "list.csv.part",
      "out.csv.part",
    ]);
  });

  test("is never the input, by whatever name", async () => {
    await symlink("contacts.csv", stage.path("soft.csv"));
    await link(stage.path("contacts.csv"), stage.path("hard.csv"));
    const refusal = { code: 2, stderr: expect.stringContaining("cannot be both the input") as string };
    const refused = await Promise.all([
      stage.run(["enrich", "contacts.csv", "--out", "soft.csv"]),
      stage.run(["import", "contacts.csv", "--rejects", "hard.csv"]),
    ]);
    expect(refused).toMatchObject([refusal, refusal]);
    const input = openSync(stage.path("contacts.csv"), "r");
    try {
      const args = ["enrich", "-", "--out", "contacts.csv"];
      expect(await stage.run(args, { stdinFd: input })).toMatchObject({ code: 2 });
    } finally {
      closeSync(input);
    }
  });

  test("goes through a pipe to its reader, which stays a pipe", async () => {
    execFileSync("mkfifo", [stage.path("pipe.csv")]);
    const exporting = stage.run(["export", "--out", "pipe.csv"]);
    const { stdout } = await run("cat", [stage.path("pipe.csv")]);
    expect(await exporting).toMatchObject({ code: 0 });
    expect(stdout.trimEnd().split("\n")).toHaveLength(21);
    expect((await lstat(stage.path("pipe.csv"))).isFIFO()).toBe(true);
  });

  test("may be the standard error for rejects, which stays where it is", async () => {
    await stage.write("bad.csv", "chat_id\n79001000001@c.us\nMaria\n");
    // Node's own pipes are sockets, which cannot be opened by a path.
    const { stdout } = await runInShell(`"$NODE" "$BIN" import bad.csv --rejects /dev/stderr 2>&1 | cat`);
    expect(stdout).toMatch(/^3,".*","Maria",""$/m);
    expect((await lstat("/dev/stderr")).isSymbolicLink()).toBe(true);
  });
});

describe("a pipe", () => {
  test.each([
    ["import", "silent", ["import", "silent"]],
    ["enrich", "silent", ["enrich", "silent"]],
    ["export", "unread.csv", ["export", "--out", "unread.csv"]],
    ["rejects of import", "unread", ["import", "bad.csv", "--rejects", "unread"]],
  ])("with nobody at its other end does not keep %s from Ctrl-C", async (_what, pipe, args) => {
    await stage.write("bad.csv", "chat_id\n79001000001@c.us\nMaria\n");
    execFileSync("mkfifo", ["-m", "600", stage.path(`${pipe}.new`)]);
    execFileSync("mv", ["-f", stage.path(`${pipe}.new`), stage.path(pipe)]);
    const waiting = await startConnected(args);
    waiting.child.kill("SIGINT");
    expect(await waiting.ended).toMatchObject({ code: 130, signal: null });
  });

  test("whose writer comes late is read to its end", async () => {
    execFileSync("mkfifo", [stage.path("late")]);
    const importing = await startConnected(["import", "late"]);
    await run("sh", ["-c", "cat contacts.csv > late"], { cwd: stage.folder });
    expect(await importing.ended).toMatchObject({ code: 0, stderr: expect.stringContaining("20 contacts") });
  });

  test("that the shell makes is read as it is", async () => {
    const { stderr } = await runInShell(`echo 79001000009@c.us | "$NODE" "$BIN" import /dev/stdin`);
    expect(stderr).toContain("1 contact ");
    const empty = await runInShell(`: | "$NODE" "$BIN" import /dev/stdin || true`);
    expect(empty.stderr).toContain("holds no contacts");
  });
});
