import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { chooseImportSource } from "../../src/cli/batch/import-source.ts";
import { reportFailure, runProgram } from "../../src/cli/program.ts";
import { readConfig } from "../../src/config.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";

/** What a command line prints that never comes to opening anything. */
async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr, stdin] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const io = {
    command: "avatars",
    args,
    stdout,
    stderr,
    stdin,
    signal: new AbortController().signal,
    stopSignal: () => undefined,
  };
  const code = await runProgram(io).catch((error: unknown) => reportFailure(io, error, false));
  stdout.end();
  stderr.end();
  return { code, stdout: await text(stdout), stderr: await text(stderr) };
}

describe("wrong usage is told in one line, without the password", () => {
  const allSources =
    /: a FILE \(- for standard input\), --from-instance ID, or --from-query SQL; --help shows/;
  const fromInstance = ["import", "--from-instance", "1"];

  test.each([
    ["nothing to read", ["import"], /^avatars: import needs a source: a FILE .* or --from-query SQL/],
    ["nothing to read, by all the names", ["import"], allSources],
    ["a file and a query", ["import", "a.csv", "--from-query", "select 1"], /one source at a time/],
    ["a file and an instance", [...fromInstance, "contacts.csv"], /one source at a time/],
    ["standard input and an instance", [...fromInstance, "-"], /one source at a time/],
    ["a query and an instance", [...fromInstance, "--from-query", "select 1"], allSources],
    ["a URL alone", ["import", "--source-url", "postgres://u:hunter2@h/d"], /needs --from-query SQL/],
    [
      "a URL for an instance",
      [...fromInstance, "--source-url", "postgres://u:hunter2@h/d"],
      /needs --from-query SQL/,
    ],
    ["a query alone", ["import", "--from-query", "select 1"], /set AVATARS_SOURCE_URL, or give --source-url/],
    ["a blank query", ["import", "--from-query", " "], /--from-query is empty/],
    ["no value", ["import", "--from-query"], /'--from-query <sql>' argument missing/],
    [
      "another kind of URL",
      ["import", "--from-query", "select 1", "--source-url", "mysql://u:hunter2@h/d"],
      /--source-url must be a URL that starts with postgres:\/\/ or postgresql:\/\//,
    ],
    [
      "a mistyped option",
      ["import", "--sorce-url=postgres://u:hunter2/@h/d"],
      /unknown option '--sorce-url=postgres:\/\/…@h\/d'/,
    ],
    ["a query for enrich", ["enrich", "--from-query", "select 1"], /unknown option '--from-query'/],
    [
      "two instances",
      [...fromInstance, "--instance", "2"],
      /--from-instance 1 takes the contacts of that instance for itself: leave --instance 2 out/,
    ],
    [
      "a column of an instance",
      [...fromInstance, "--column", "a"],
      /--column says how to read a file or a query/,
    ],
    [
      "a reference of an instance",
      [...fromInstance, "--ref-column", "a"],
      /--ref-column says how to read a file/,
    ],
    [
      "a country of an instance",
      [...fromInstance, "--default-country", "DE"],
      /--default-country says how to read a file/,
    ],
    [
      "no id",
      ["import", "--from-instance", "one"],
      /option '--from-instance <id>' argument 'one' is invalid/,
    ],
    ["an instance for enrich", ["enrich", "--from-instance", "1"], /unknown option '--from-instance'/],
    ["nothing for enrich", ["enrich"], /missing required argument 'file'/],
  ])("%s", async (_what, args, message) => {
    const refused = await run(...args);
    expect(refused).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
    expect(refused.stderr).toMatch(/^avatars: [^\n]+; --help shows what it takes\n$/);
    expect(refused.stderr).not.toContain("hunter2");
  });

  test.each([
    ["a URL for a file", ["import", "postgres://u:hunter2@h/d"]],
    ["a broken URL for a file", ["enrich", "postgres://u:hunter2/@h/d"]],
  ])("%s", async (_what, args) => {
    const refused = await run(...args);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toMatch(/^avatars: a database is no FILE[^\n]*\n$/);
    expect(refused.stderr).not.toContain("hunter2");
  });
});

test("the help of import shows all sources, with examples", async () => {
  const { stdout } = await run("import", "--help");
  expect(stdout).toMatch(/^Usage: avatars import \[options\] \[file\]$/m);
  expect(stdout).toMatch(/--from-query <sql> [^]*--source-url <url> [^]*--from-instance <id> /);
  expect(stdout).toContain("avatars import --from-query 'select phone, id as external_ref from");
  expect(stdout).toContain("  avatars import --from-instance 1101000001\n");
});

describe("the chosen source", () => {
  const config = readConfig({ AVATARS_SOURCE_URL: "postgres://h/d" });
  const one = "1" as InstanceId;
  const two = "2" as InstanceId;

  test("of a file reports beside its results", () => {
    const chosen = chooseImportSource(
      { strict: false, firstNumber: false, file: "a/b.csv", instance: two },
      config,
    );
    expect(chosen).toMatchObject({ file: "a/b.csv", rejectsPath: "b.rejects.csv", instance: two });
  });

  test("of a query reports in query.rejects.csv, and takes the URL of the setting", () => {
    const chosen = chooseImportSource(
      { strict: false, firstNumber: false, fromQuery: "select 1", instance: two },
      config,
    );
    expect(chosen).toMatchObject({ file: undefined, rejectsPath: "query.rejects.csv", instance: two });
  });

  test("of an instance reports in a file of its name, and is for the instance itself", () => {
    const chosen = chooseImportSource({ strict: false, firstNumber: false, fromInstance: one }, config);
    expect(chosen).toMatchObject({ file: undefined, rejectsPath: "instance-1.rejects.csv", instance: one });
  });
});
