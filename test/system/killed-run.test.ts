import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";

const root = join(import.meta.dirname, "../..");
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "killed-run-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** The command lines of all processes that work in the folder, or take one in it for their temporary folder. */
async function listCommands(): Promise<string[]> {
  const commands: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const [place, environment, command] = await Promise.all([
      readlink(`/proc/${pid}/cwd`).catch(() => ""),
      readFile(`/proc/${pid}/environ`, "utf8").catch(() => ""),
      readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""),
    ]);
    if (place.startsWith(`${folder}/`) || environment.includes(`TMPDIR=${folder}`)) commands.push(command);
  }
  return commands;
}

test.skipIf(process.platform !== "linux").each(["SIGKILL", "SIGINT"] as const)(
  "a run of the tests that ends by %s leaves no server, no command and no folder behind",
  async (signal) => {
    const args = ["node_modules/vitest/vitest.mjs", "run", "--config", "test/support/endless.config.ts"];
    const run = spawn(process.execPath, args, {
      cwd: root,
      env: { PATH: process.env["PATH"] ?? "", TMPDIR: folder },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = once(run, "exit");
    let printed = "";
    run.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
    await eventually(async () => {
      const commands = (await listCommands()).join("\n");
      expect(commands).toMatch(/\bpostgres\b/);
      expect(commands).toMatch(/\bsimulate\b/);
      if (printed.includes("Redis (redis-server)")) expect(commands).toMatch(/\bredis-server\b/);
    });
    // vitest waits for the test that is under way after the first Ctrl-C, and ends at the second.
    const isOver = () => run.exitCode !== null || run.signalCode !== null;
    await eventually(() => {
      if (!isOver()) run.kill(signal);
      expect(isOver()).toBe(true);
    });
    await ended;
    await eventually(async () => {
      expect(await listCommands()).toEqual([]);
      expect((await readdir(folder)).filter((name) => name.startsWith("contact-avatars-test-"))).toEqual([]);
    });
  },
);
