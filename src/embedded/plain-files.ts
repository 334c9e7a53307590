import { closeSync, constants, fchownSync, fstatSync, openSync, type Stats } from "node:fs";
import { lchown, lstat, open, readdir, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../lib/errors.ts";
import type { Account } from "./choose-account.ts";
import { hasCode } from "./process-mark.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** A folder that stays the same one, whatever is renamed or linked meanwhile. */
export interface HeldFolder {
  /** Leads into the folder itself on Linux; elsewhere its name. */
  readonly path: string;
  readonly found: Stats;
  /** Gives the folder itself, not what its name leads to by now. */
  giveTo(account: Account): void;
  release(): void;
}

/**
 * Holds a folder open, for work as root where another user may rename and link. Not for Windows.
 * @throws UserError `embedded-postgres-unsafe` for a link, or what is no folder
 */
export function holdFolder(directory: string): HeldFolder {
  let fd: number;
  try {
    fd = openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (hasCode(error, "ELOOP", "ENOTDIR")) throw unsafe(directory, "is a link, or no folder", error);
    throw error;
  }
  return {
    path: process.platform === "linux" ? `/proc/self/fd/${fd}` : directory,
    found: fstatSync(fd),
    giveTo: ({ uid, gid }) => fchownSync(fd, uid, gid),
    release: () => closeSync(fd),
  };
}

/**
 * Holds a folder that root has just made. Its name may lead to another folder of root's by now, which must not be given away.
 * @throws UserError `embedded-postgres-unsafe`
 */
export async function holdNewFolder(directory: string): Promise<HeldFolder> {
  const folder = holdFolder(directory);
  if (folder.found.uid === 0 && (await readdir(folder.path)).length === 0) return folder;
  folder.release();
  throw unsafe(directory, "is not the folder that was made");
}

/**
 * Opens a plain file alone. A link would lead elsewhere, and a pipe would be waited for. A second name may have been given to
 * root's file by another user.
 * @param names how many names the file may have
 * @throws UserError `embedded-postgres-unsafe`; the system's error
 */
export async function openPlainFile(
  file: string,
  flags: number,
  { mode, names = 1 }: { readonly mode?: number; readonly names?: number } = {},
): Promise<FileHandle> {
  let handle: FileHandle;
  try {
    handle = await open(file, flags | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0), mode);
  } catch (error) {
    if (hasCode(error, "ELOOP", "ENXIO")) throw unsafe(file, "is a link, or no file", error);
    throw error;
  }
  const found = await handle.stat();
  const isKnown = process.geteuid?.() !== 0 || found.nlink <= names;
  if (found.isFile() && isKnown) return handle;
  await handle.close();
  throw unsafe(file, found.isFile() ? "has a second name" : "is no file");
}

/** @throws UserError `embedded-postgres-unsafe`; the system's error */
export async function readPlainFile(file: string, names = Infinity): Promise<string> {
  const handle = await openPlainFile(file, O_RDONLY, { names });
  try {
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

/**
 * Gives a folder of root's with all that is in it. Only root may be able to write there: else what is given may be
 * exchanged on the way.
 * @throws UserError `embedded-postgres-unsafe`
 */
export async function giveTree(directory: string, account: Account): Promise<void> {
  const folder = holdFolder(directory);
  try {
    if (folder.found.uid !== 0 || (folder.found.mode & 0o022) !== 0) {
      throw unsafe(directory, "is not root's alone, so that it cannot be given to the account of Postgres");
    }
    for (const name of await readdir(folder.path)) {
      const entry = path.join(folder.path, name);
      const found = await lstat(entry);
      if (found.isDirectory()) await giveTree(entry, account);
      else if (found.isFile() && found.nlink > 1)
        throw unsafe(path.join(directory, name), "has a second name");
      else await lchown(entry, account.uid, account.gid);
    }
    folder.giveTo(account);
  } finally {
    folder.release();
  }
}

function unsafe(file: string, what: string, cause?: unknown): UserError {
  return new UserError(
    "embedded-postgres-unsafe",
    `${file} ${what}: it is not used, since another user could make it lead anywhere. ` +
      `Put the thing itself there or remove it, or set DATABASE_URL`,
    { cause },
  );
}
