import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "exit-at-once-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** A process that does `before` and then ends at once with 130. */
async function runToItsEnd(before: string): Promise<unknown[]> {
  const url = pathToFileURL(join(root, "dist/cli/terminal/exit-at-once.js")).href;
  const script = `${before}; setTimeout(() => exitAtOnce(130), 50);`;
  const code = `import { exitAtOnce } from ${JSON.stringify(url)}; import { open } from "node:fs"; ${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: "ignore" });
  return once(child, "exit");
}

describe.skipIf(process.platform === "win32")("to exit at once", () => {
  test("gives the code where nothing holds it up", async () => {
    expect(await runToItsEnd("")).toEqual([130, null]);
  });

  test("is to be killed where a thread of the system never comes back", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    expect(await runToItsEnd(`open(${JSON.stringify(pipe)}, "r", () => {})`)).toEqual([null, "SIGKILL"]);
  });
});
