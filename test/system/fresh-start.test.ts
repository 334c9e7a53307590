import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startSimulator, type Simulator } from "../../src/simulator/start-simulator.ts";
import { runCli, startCli, type CliResult } from "../support/run-cli.ts";
import { findStackLines, parseCsv, printedBy, readCsv, toTruths, type ResultRow } from "../support/stage.ts";

const examples = fileURLToPath(new URL("../../examples/contacts.csv", import.meta.url));
const instanceId = "0000000000";
/** Lines of the example file that are no contacts. */
const brokenLines = ["63", "111", "199", "213", "427", "450"];

let folder: string;
let dataDir: string;
/** Holds the same truths as the built-in one: their seed is the same. */
let simulator: Simulator;
let options: { cwd: string; env: Record<string, string> };
let first: CliResult;
let firstResults: string;
let statusMeanwhile: CliResult;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "contact-avatars-fresh-"));
  dataDir = join(folder, "data");
  simulator = await startSimulator();
  const env = {
    AVATARS_DATA_DIR: dataDir,
    AVATARS_REQUESTS_PER_SECOND: "200",
    AVATARS_RETRY_BASE_MS: "100",
  };
  options = { cwd: folder, env };
  const run = startCli(["enrich", examples, "--simulate"], options);
  await printedBy(run, "/482");
  statusMeanwhile = await runCli(["status", "--json"], options);
  first = await run.ended;
  firstResults = await readFile(join(folder, "contacts.avatars.csv"), "utf8");
});

afterAll(async () => {
  await simulator.close();
  await rm(folder, { recursive: true, force: true });
});

test("a fresh machine enriches the example file, and says by its exit code that some lines are no contacts", () => {
  expect(first.code).toBe(1);
  expect(findStackLines(first.stdout + first.stderr)).toEqual([]);
});

test("the results have the promised columns, and one row per distinct contact with the truth", () => {
  expect(firstResults.split("\n")[0]).toBe(
    "instance_id,chat_id,external_ref,status,avatar_url,url_expires_at,checked_at,attempts,last_error,image_url,image_sha256,image_width,image_height,image_at,image_old,position",
  );
  const rows = parseCsv(firstResults);
  const chatIds = rows.map((row) => row["chat_id"] ?? "");
  expect(rows).toHaveLength(482);
  expect(new Set(chatIds).size).toBe(482);
  const answers = rows.map((row) => ({
    chatId: row["chat_id"],
    status: row["status"],
    version: row["avatar_url"] ? new URL(row["avatar_url"]).pathname : null,
  }));
  expect(answers).toEqual(toTruths(simulator, instanceId, chatIds));
  expect(rows.filter((row) => row["instance_id"] !== instanceId || !row["checked_at"])).toEqual([]);
});

test("the results are in the order of first appearance in the file", async () => {
  const records = parse(await readFile(examples), { columns: true });
  const tails = (records as Record<string, string>[]).map((record) =>
    [record["chat_id"], record["phone"]].map((text = "") => toTail(text)),
  );
  let place = -1;
  const misplaced = parseCsv(firstResults).filter((row) => {
    const tail = toTail(row["chat_id"] ?? "");
    const found = tails.findIndex((known, index) => index > place && known.includes(tail));
    if (found >= 0) place = found;
    return found < 0;
  });
  expect(misplaced).toEqual([]);
});

/** The last digits: the same in every spelling of a number. */
function toTail(text: string): string {
  return text.replace(/@.*/, "").replace(/\D/g, "").slice(-10);
}

test("the rejects file lists the broken lines by their numbers", async () => {
  const rejects = await readCsv(join(folder, "contacts.rejects.csv"));
  expect(rejects.map((reject) => reject["line"])).toEqual(brokenLines);
  expect(rejects.every((reject) => reject["reason"] && reject["text"])).toBe(true);
});

test("the summary counts the outcomes, and its last lines tell how to go on with real credentials", () => {
  expect(first.stdout).toMatch(/^total\s+482\s+12 duplicates, 6 lines that are no contacts$/m);
  for (const outcome of ["present", "absent", "hidden", "invalid"]) {
    const count = parseCsv(firstResults).filter((row) => row["status"] === outcome).length;
    expect(first.stdout).toMatch(new RegExp(`^${outcome}\\s+${count}\\s`, "m"));
  }
  const last = first.stdout.trim().split("\n").slice(-3).join("\n");
  expect(last).toContain("With real credentials");
  for (const name of ["GREEN_API_URL", "GREEN_API_ID_INSTANCE", "GREEN_API_TOKEN"])
    expect(last).toContain(name);
  expect(last).toContain("npx avatars enrich my.csv");
});

test("status answers while the command runs", () => {
  expect(statusMeanwhile).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(statusMeanwhile.stdout)).toMatchObject({ instances: [{ instanceId }] });
});

test("no server outlives the command", async () => {
  expect(existsSync(join(dataDir, "postgres", "PG_VERSION"))).toBe(true);
  expect(existsSync(join(dataDir, "postgres", "postmaster.pid"))).toBe(false);
  expect(await readdir(join(dataDir, "postgres.users"))).toEqual([]);
});

test("a second run finds all answers fresh, makes no call, and writes the same results", async () => {
  const second = await runCli(["enrich", examples, "--simulate", "--allow-incomplete"], options);
  expect(second.code).toBe(0);
  expect(second.stderr).toMatch(/^all contacts .*fresh.*: no call needed$/m);
  expect(second.stdout).toMatch(/^0 calls in .*; 482 contacts were fresh and needed none$/m);
  expect(await readFile(join(folder, "contacts.avatars.csv"), "utf8")).toBe(firstResults);
});

test("an import of contacts that are all fresh says that none needs a call", async () => {
  const imported = await runCli(["import", examples, "--instance", instanceId], options);
  expect(imported.stderr).toMatch(
    /^482 contacts enqueued .*, 482 of them fresh already, .*; all have a fresh answer: none needs a call$/m,
  );
});

test("hints name the command as it was typed, by npx or by node", async () => {
  const [byNpx, byNode] = await Promise.all(
    (["npx", "node"] as const).map((typed) => runCli(["enrich", examples], { ...options, typed })),
  );
  expect(byNpx?.stderr).toContain("or run npx avatars instance add; enrich --simulate works");
  expect(byNode?.stderr).toMatch(/or run node \S*bin\.js instance add; enrich --simulate works/);
});

test("status and export work on the data afterwards", async () => {
  const status = await runCli(["status"], options);
  expect(status).toMatchObject({ code: 0, stderr: "" });
  expect(status.stdout).toMatch(new RegExp(`^${instanceId} +paused `, "m"));
  expect(status.stdout).toMatch(new RegExp(`^${instanceId} is the built-in simulator's`, "m"));
  expect(status.stdout).not.toContain("resume");
  const { instances } = JSON.parse((await runCli(["status", "--json"], options)).stdout) as {
    instances: { due: number; contacts: Record<string, number> }[];
  };
  expect(instances).toHaveLength(1);
  expect(instances[0]).toMatchObject({ due: 0, contacts: { unknown: 0, unreachable: 0 } });
  const exported = await runCli(["export", "--out", "all.csv"], options);
  expect(exported).toMatchObject({ code: 0, stdout: "", stderr: "482 contacts written to all.csv\n" });
  // An export is of no input in which its contacts would have a position.
  const results = parseCsv(firstResults).map((row) => ({ ...row, position: "" }));
  expect((await readCsv(join(folder, "all.csv"))).toSorted(byChat)).toEqual(results.toSorted(byChat));
  expect(existsSync(join(dataDir, "postgres", "postmaster.pid"))).toBe(false);
});

function byChat(a: ResultRow, b: ResultRow): number {
  return (a["chat_id"] ?? "").localeCompare(b["chat_id"] ?? "");
}
