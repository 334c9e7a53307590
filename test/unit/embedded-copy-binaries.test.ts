import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { copyBinaries } from "../../src/embedded/copy-binaries.ts";
import type { Binaries } from "../../src/embedded/find-binaries.ts";

let directory: string;
let parent: string;
let binaries: Binaries;
let place: string;

describe.skipIf(process.geteuid?.() !== 0)("as root", () => {
  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), "copy-binaries-"));
    parent = path.join(directory, "cache");
    binaries = { directory: path.join(directory, "native"), build: "18.0.0-test" };
    place = path.join(parent, "contact-avatars-postgres-18.0.0-test");
    await mkdir(parent);
    await mkdir(path.join(binaries.directory, "bin"), { recursive: true, mode: 0o700 });
    await writeFile(path.join(binaries.directory, "bin", "postgres"), "code", { mode: 0o700 });
    await writeFile(path.join(binaries.directory, "lib.so.1"), "library", { mode: 0o600 });
    await writeFile(path.join(binaries.directory, "lib.a"), "archive");
    await symlink("lib.so.1", path.join(binaries.directory, "lib.so"));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  test("all accounts can run the copy, whatever the umask was at install time", async () => {
    expect(await copyBinaries(binaries, parent)).toEqual({ ...binaries, directory: place });
    expect((await readdir(place)).sort()).toEqual(["bin", "lib.so", "lib.so.1"]);
    expect(await readlink(path.join(place, "lib.so"))).toBe("lib.so.1");
    const modes = ["", "bin", "bin/postgres", "lib.so.1"].map(async (name) => {
      return (await stat(path.join(place, name))).mode & 0o777;
    });
    expect(await Promise.all(modes)).toEqual([0o755, 0o755, 0o755, 0o644]);
  });

  test("a complete copy is used again, an incomplete one is replaced", async () => {
    await copyBinaries(binaries, parent);
    const { ino } = await stat(place);
    await copyBinaries(binaries, parent);
    expect((await stat(place)).ino).toBe(ino);
    await rm(path.join(place, "lib.so.1"));
    await copyBinaries(binaries, parent);
    expect((await stat(path.join(place, "lib.so.1"))).size).toBe("library".length);
    expect(await readdir(parent)).toEqual([path.basename(place)]);
  });

  test("several at once end with one copy", async () => {
    const copies = await Promise.allSettled(Array.from({ length: 5 }, () => copyBinaries(binaries, parent)));
    expect(copies.map(({ status }) => status)).toEqual(Array(5).fill("fulfilled"));
    expect(await readdir(parent)).toEqual([path.basename(place)]);
  });

  test("what another user put there is not run, and a folder that others may write is not used", async () => {
    await mkdir(place);
    await writeFile(path.join(place, "lib.so.1"), "hostile");
    await chown(place, 65_534, 65_534);
    await copyBinaries(binaries, parent);
    expect((await stat(place)).uid).toBe(0);
    await chmod(place, 0o777);
    await copyBinaries(binaries, parent);
    expect((await stat(place)).mode & 0o777).toBe(0o755);
    await chmod(parent, 0o777);
    expect(await copyBinaries(binaries, parent)).toBeUndefined();
  });
});
