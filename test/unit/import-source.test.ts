import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { chooseImportSource } from "../../src/cli/import-source.ts";
import { reportFailure, runProgram } from "../../src/cli/program.ts";
import { readConfig } from "../../src/config.ts";

/** What a command line prints that never comes to opening anything. */
async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr, stdin] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const io = {
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
  test.each([
    ["nothing to read", ["import"], /^avatars: import needs a source: a FILE .* or --from-query SQL/],
    ["two sources", ["import", "a.csv", "--from-query", "select 1"], /one source at a time/],
    ["a URL alone", ["import", "--source-url", "postgres://u:hunter2@h/d"], /needs --from-query SQL/],
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
    ["a URL for a file", ["import", "postgres://u:hunter2@h/d"], /a database is no FILE/],
    ["a broken URL for a file", ["enrich", "postgres://u:hunter2/@h/d"], /a database is no FILE/],
    ["a query for enrich", ["enrich", "--from-query", "select 1"], /unknown option '--from-query'/],
  ])("%s", async (_what, args, message) => {
    const refused = await run(...args);
    expect(refused).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
    expect(refused.stderr).toMatch(/^[^\n]*\n$/);
    expect(refused.stderr).not.toContain("hunter2");
  });
});

test("the help of import shows how to read a query", async () => {
  const { stdout } = await run("import", "--help");
  expect(stdout).toMatch(/--from-query <sql> [^]*--source-url <url>/);
  expect(stdout).toContain("avatars import --from-query 'select phone, id as external_ref from");
});

describe("the chosen source", () => {
  const config = readConfig({ AVATARS_SOURCE_URL: "postgres://h/d" });

  test("of a file reports beside its results", () => {
    const chosen = chooseImportSource({ strict: false, file: "a/b.csv" }, config);
    expect(chosen).toMatchObject({ file: "a/b.csv", rejectsPath: "b.rejects.csv" });
  });

  test("of a query reports in query.rejects.csv, and takes the URL of the setting", () => {
    const chosen = chooseImportSource({ strict: false, fromQuery: "select 1" }, config);
    expect(chosen).toMatchObject({ file: undefined, rejectsPath: "query.rejects.csv" });
  });
});
