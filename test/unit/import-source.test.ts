import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { reportFailure, runProgram } from "../../src/cli/program.ts";

/** Runs a command line that gets no further than its usage. */
async function run(...args: string[]) {
  const [stdout, stderr, stdin] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const io = { args, stdout, stderr, stdin };
  const signal = new AbortController().signal;
  const code = await runProgram({ ...io, signal, stopSignal: () => undefined }).catch((error: unknown) =>
    reportFailure(io, error, false),
  );
  stdout.end();
  stderr.end();
  return { code, stdout: await text(stdout), stderr: await text(stderr) };
}

test.each([
  [["import"], "say where the contacts come from: FILE, or --from-instance ID"],
  [["import", "contacts.csv", "--from-instance", "1"], "name one source of contacts only"],
  [["import", "-", "--from-instance", "1"], "name one source of contacts only"],
  [
    ["import", "--from-instance", "1", "--instance", "2"],
    "--from-instance 1 takes the contacts of that instance",
  ],
  [["import", "--from-instance", "1", "--column", "a"], "--column says how to read a file"],
  [["import", "--from-instance", "1", "--ref-column", "a"], "--ref-column says how to read a file"],
  [
    ["import", "--from-instance", "1", "--default-country", "DE"],
    "--default-country says how to read a file",
  ],
  [["import", "--from-instance", "one"], "option '--from-instance <id>' argument 'one' is invalid"],
  [["enrich", "--from-instance", "1"], "unknown option '--from-instance'"],
  [["enrich"], "missing required argument 'file'"],
])("%j is wrong usage", async (args, message) => {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(`avatars: ${message}`);
  expect(stderr).toMatch(/^[^\n]+; --help shows what it takes\n$/);
});

test("the help of import shows the contact list of an instance, with an example", async () => {
  const { stdout } = await run("import", "--help");
  expect(stdout).toMatch(/^Usage: avatars import \[options\] \[file\]$/m);
  expect(stdout).toContain("--from-instance <id>");
  expect(stdout).toContain("  avatars import --from-instance 1101000001\n");
});
