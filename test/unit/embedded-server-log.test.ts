import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isPassing, lastTrouble } from "../../src/embedded/server-log.ts";
import { SETTINGS_FILE, writeSettings } from "../../src/embedded/write-settings.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), "embedded-unit-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test.each([
  [
    "LOG:  a\nFATAL:  no space left on device.\nLOG:  b\npg_ctl: could not start server\n",
    "FATAL:  no space left on device",
  ],
  ["one\ntwo\n\npg_ctl: could not start server\nExamine the log output.\n", "two"],
  ["initdb: error: it is full\ninitdb: removing data directory\n", "initdb: error: it is full"],
  [
    "running bootstrap script ... 2026-11-22 16:35:30.453 UTC [2] FATAL:  No space left on device\n2026-11-22 16:35:30.453 UTC [2] PANIC:  cannot go on\n",
    "FATAL:  No space left on device",
  ],
  ["", undefined],
])("the last complaint is what is told of %j", (text, expected) => {
  expect(lastTrouble(text)).toBe(expected);
});

test.each([
  [
    true,
    'LOG:  could not bind IPv4 address "127.0.0.1": Address already in use\nFATAL:  could not create any TCP/IP sockets',
  ],
  [true, "FATAL:  pre-existing shared memory block (key 16039943, ID 10) is still in use"],
  [true, 'FATAL:  lock file "postmaster.pid" already exists'],
  [false, 'FATAL:  could not write lock file "postmaster.pid": No space left on device'],
])("%s: waiting helps against %j", (expected, text) => {
  expect(isPassing(text)).toBe(expected);
});

test("settings are quoted, private, and ours may be replaced", async () => {
  await writeSettings(directory, { fsync: "off", timezone: "it's \\ here\nport=1" }, undefined);
  const file = path.join(directory, SETTINGS_FILE);
  const lines = (await readFile(file, "utf8")).split("\n");
  expect(lines).toContain("fsync = 'off'");
  expect(lines).toContain("timezone = 'it''s \\\\ here\\nport=1'");
  expect(lines).toContain("listen_addresses = '127.0.0.1'");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test("what is no name of a setting is refused", async () => {
  const writing = writeSettings(directory, { "fsync = off #": "" }, undefined);
  await expect(writing).rejects.toMatchObject({ code: "invalid-setting" });
});
