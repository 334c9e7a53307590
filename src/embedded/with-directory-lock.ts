import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { link, open, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../lib/errors.ts";
import { readPlainFile } from "./plain-files.ts";
import { hasCode, isMarkRunning, ownProcessMark } from "./process-mark.ts";

const POLL_MS = 25;
/** Old generations kept, so that the newest is never missed by a reader that is slow. */
const KEPT_GENERATIONS = 8;

/**
 * Runs `work` while no other process runs work under the same (existing) directory. Survives the death of any holder at any
 * moment, without a step that two may take at once.
 *
 * The lock is a row of files `1`, `2`, `3`…; the newest one tells who holds it. The lock is free when that file is empty
 * (released) or its process has ended. Exactly one process then creates the next number with its content, because `link` is
 * atomic and exclusive. No file is ever taken over, and the newest is never deleted. So "stale, therefore remove" cannot hit a
 * lock that was just taken anew.
 *
 * @throws UserError `lock-timeout` when it stays taken for `timeoutMs`; the signal's reason when aborted.
 */
export async function withDirectoryLock<T>(
  directory: string,
  work: () => Promise<T>,
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<T> {
  const mark = await ownProcessMark();
  const until = performance.now() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const held = await tryAcquire(directory, mark);
    if (held !== undefined) {
      try {
        return await work();
      } finally {
        // If even this fails, the folder is gone, or the lock goes with our process.
        await release(held).catch(() => undefined);
      }
    }
    if (performance.now() > until) throw lockTimeout(directory);
    await delay(POLL_MS, undefined, { signal: options.signal }).catch(() => options.signal?.throwIfAborted());
  }
}

/** A file of the row, and its inode: in another user's folder its name may come to mean another file. */
interface HeldLock {
  readonly file: string;
  readonly inode: number;
}

async function release({ file, inode }: HeldLock): Promise<void> {
  const handle = await open(file, constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    if ((await handle.stat()).ino === inode) await handle.truncate();
  } finally {
    await handle.close();
  }
}

async function tryAcquire(directory: string, mark: string): Promise<HeldLock | undefined> {
  const newest = await newestGeneration(directory);
  if (newest > 0 && (await isHeld(path.join(directory, `${newest}`)))) return undefined;

  const own = path.join(directory, `${newest + 1}`);
  const inode = await createExclusively(directory, own, mark);
  if (inode === undefined) return undefined;
  // We may have looked so long ago that our number was used, released and cleaned up meanwhile.
  if ((await newestGeneration(directory)) > newest + 1) {
    await rm(own, { force: true });
    return undefined;
  }
  await removeLeftovers(directory, newest + 1 - KEPT_GENERATIONS);
  return { file: own, inode };
}

async function newestGeneration(directory: string): Promise<number> {
  const names = await readdir(directory);
  return Math.max(0, ...names.filter((name) => /^\d+$/.test(name)).map(Number));
}

async function isHeld(file: string): Promise<boolean> {
  try {
    return await isMarkRunning(await readPlainFile(file));
  } catch (error) {
    // Cleaned up since we looked: there is a newer one.
    if (hasCode(error, "ENOENT")) return true;
    throw error;
  }
}

/** @returns the inode of the file, if it was made. */
async function createExclusively(
  directory: string,
  file: string,
  content: string,
): Promise<number | undefined> {
  const draft = path.join(directory, `draft.${content}.${randomUUID()}`);
  const handle = await open(draft, "wx");
  try {
    await handle.writeFile(content);
    const { ino } = await handle.stat();
    await link(draft, file);
    return ino;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return undefined;
    throw error;
  } finally {
    await handle.close();
    await rm(draft, { force: true });
  }
}

async function removeLeftovers(directory: string, upTo: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const [kind, mark] = name.split(".");
    const isLeftover =
      kind === "draft" ? !(await isMarkRunning(mark ?? "")) : /^\d+$/.test(name) && Number(name) <= upTo;
    if (isLeftover) await rm(path.join(directory, name), { force: true });
  }
}

function lockTimeout(directory: string): UserError {
  return new UserError(
    "lock-timeout",
    `another process has been starting or stopping the embedded Postgres for too long. ` +
      `If none is, remove the folder ${directory}`,
    { retryable: true },
  );
}
