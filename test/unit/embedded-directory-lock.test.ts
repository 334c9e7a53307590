import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inspectProcess, isMarkRunning, ownProcessMark } from "../../src/embedded/process-mark.ts";
import { withDirectoryLock } from "../../src/embedded/with-directory-lock.ts";

let directory: string;
const patient = { timeoutMs: 60_000 };
const enter = () => Promise.resolve("in");

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), "directory-lock-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test("no two holders work at once, and few files are left", async () => {
  let working = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++working);
    await nextTurn();
    working--;
  };
  await Promise.all(Array.from({ length: 40 }, () => withDirectoryLock(directory, work, patient)));
  expect(most).toBe(1);
  expect((await readdir(directory)).length).toBeLessThanOrEqual(8);
});

test("work that throws releases the lock, and its error is the one that is told", async () => {
  const failing = withDirectoryLock(directory, () => Promise.reject(new Error("no")), patient);
  await expect(failing).rejects.toThrow("no");
  expect(await withDirectoryLock(directory, () => Promise.resolve("yes"), patient)).toBe("yes");
});

test("a holder that has died is followed by exactly one of those who wait", async () => {
  await writeFile(path.join(directory, "7"), await markOfTheDead());
  await writeFile(path.join(directory, `draft.${await markOfTheDead()}.x`), "");
  let working = 0;
  const work = async () => {
    expect(++working).toBe(1);
    await nextTurn();
    working--;
  };
  await Promise.all(Array.from({ length: 10 }, () => withDirectoryLock(directory, work, patient)));
  expect((await readdir(directory)).filter((name) => name.startsWith("draft"))).toEqual([]);
});

test.skipIf(process.platform !== "linux")(
  "a later process with the holder's number is not the holder",
  async () => {
    await writeFile(path.join(directory, "1"), `${process.pid}-1`);
    expect(await withDirectoryLock(directory, enter, patient)).toBe("in");
  },
);

test("a file that a crash of the machine left without content holds nothing", async () => {
  await writeFile(path.join(directory, "3"), "\0\0\0\0");
  expect(await withDirectoryLock(directory, enter, patient)).toBe("in");
});

test("waiting ends at the deadline and by the signal", async () => {
  await writeFile(path.join(directory, "1"), await ownProcessMark());
  await expect(withDirectoryLock(directory, enter, { timeoutMs: 0 })).rejects.toMatchObject({
    name: "UserError",
    code: "lock-timeout",
    retryable: true,
  });
  const abort = new AbortController();
  const waiting = withDirectoryLock(directory, enter, { ...patient, signal: abort.signal });
  abort.abort(new Error("stopping"));
  await expect(waiting).rejects.toThrow("stopping");
  expect(await readFile(path.join(directory, "1"), "utf8")).toBe(await ownProcessMark());
});

test("a process is told from one that ended, and from what is no process", async () => {
  expect(await isMarkRunning(await ownProcessMark())).toBe(true);
  expect(await isMarkRunning(await markOfTheDead())).toBe(false);
  expect(await isMarkRunning("")).toBe(false);
  expect(await isMarkRunning("1234")).toBe(false);
  expect(await inspectProcess(process.pid)).toMatchObject({ running: true });
});

async function markOfTheDead(): Promise<string> {
  const child = spawn(process.execPath, ["-e", ""]);
  // Listened for from the start: it may close while it is inspected.
  const closed = once(child, "close");
  const { startedAt } = await inspectProcess(child.pid!);
  await closed;
  return `${child.pid}-${startedAt ?? 0}`;
}
