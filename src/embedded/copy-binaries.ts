import { constants } from "node:fs";
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
} from "node:fs/promises";
import path from "node:path";
import type { Binaries } from "./find-binaries.ts";
import { hasCode } from "./process-mark.ts";

/**
 * Puts the binaries into a folder below `parent` that every account can read. Root needs it where this project lies below a
 * folder closed to others, as /root usually is. The copy is code that will be run, so only root may be able to write there.
 * Made once per build, and mended when a cleaner of old files was there.
 *
 * @returns nothing when `parent` or what is there already cannot be trusted.
 */
export async function copyBinaries(binaries: Binaries, parent: string): Promise<Binaries | undefined> {
  const directory = path.join(parent, `contact-avatars-postgres-${binaries.build}`);
  if (!(await isOnlyRoots(parent, { sticky: true }))) return undefined;
  if (!(await isComplete(binaries.directory, directory))) await replaceCopy(binaries.directory, directory);
  return (await isOnlyRoots(directory)) ? { ...binaries, directory } : undefined;
}

/** A sticky folder such as /tmp will do as a parent: no other user can move what root made there. */
async function isOnlyRoots(directory: string, allowed: { sticky?: boolean } = {}): Promise<boolean> {
  const found = await lstat(directory);
  const closed = (found.mode & 0o022) === 0 || (allowed.sticky === true && (found.mode & 0o1000) !== 0);
  return found.isDirectory() && found.uid === 0 && closed;
}

async function isComplete(from: string, to: string): Promise<boolean> {
  try {
    if (!(await isOnlyRoots(to))) return false;
    for (const name of await listContents(from)) {
      const [original, copy] = await Promise.all([lstat(path.join(from, name)), lstat(path.join(to, name))]);
      if (!original.isDirectory() && original.size !== copy.size) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** Writes the copy aside and renames it, so that a half-made one never has the final name. */
async function replaceCopy(from: string, to: string): Promise<void> {
  const draft = await mkdtemp(`${to}.new-`);
  try {
    const fresh = path.join(draft, "fresh");
    await mkdir(fresh);
    await chmod(fresh, 0o755);
    for (const name of await listContents(from)) {
      await copyEntry(path.join(from, name), path.join(fresh, name));
    }
    try {
      await rename(fresh, to);
    } catch (error) {
      // Another process was faster, or the folder that is there is broken, or another user's.
      if (await isComplete(from, to)) return;
      if (!hasCode(error, "ENOTEMPTY", "EEXIST", "ENOTDIR")) throw error;
      await rename(to, path.join(draft, "broken"));
      await rename(fresh, to);
    }
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function listContents(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true });
  // Archives for compiling against. Sorted, so that a folder comes before what is in it.
  return names.filter((name) => !name.endsWith(".a")).sort();
}

/** Modes are set, not kept: a strict umask at install time must not close the copy as well. */
async function copyEntry(from: string, to: string): Promise<void> {
  const found = await lstat(from);
  if (found.isSymbolicLink()) {
    await symlink(await readlink(from), to);
  } else if (found.isDirectory()) {
    await mkdir(to);
    await chmod(to, 0o755);
  } else {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
    await chmod(to, (found.mode & 0o100) === 0 ? 0o644 : 0o755);
  }
}
