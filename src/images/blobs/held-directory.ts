import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { lstat, mkdir, open, realpath } from "node:fs/promises";
import path from "node:path";
import type { BlobKey } from "./blob-key.ts";
import { hasCode, toDirectoryError, toNoFolder, toUnsafe } from "./directory-error.ts";

const { O_RDONLY, O_DIRECTORY } = constants;

/** Only we, and root, read the faces of a CRM's contacts. */
const folderMode = 0o700;
export const fileMode = 0o600;

/** A folder that stays the same one while it is open, whatever its path leads to meanwhile. */
export interface HeldDirectory {
  /** Leads into the folder itself on Linux; elsewhere its name. */
  readonly root: string;
  /** Where drafts are written: of the same file system, so that a rename makes blobs of them. */
  readonly drafts: string;
  /** Users other than its owner may write there. */
  readonly isOpenToOthers: boolean;
  release(): void;
}

/**
 * Makes what is missing of the folder and holds it. Links on the way to it are of the operator's choice.
 * @throws UserError as toDirectoryError says
 */
export async function holdDirectory(folder: string): Promise<HeldDirectory> {
  let fd: number | undefined;
  try {
    await mkdir(folder, { recursive: true, mode: folderMode });
    const place = await realpath(folder);
    // Windows opens no folders, and has no links that a plain user could plant.
    fd = openSync(place, process.platform === "win32" ? O_RDONLY : O_RDONLY | O_DIRECTORY);
    const root = process.platform === "linux" ? `/proc/self/fd/${fd}` : place;
    const drafts = path.join(root, "drafts");
    await makeFolder(drafts, folder);
    const isOpenToOthers = process.platform !== "win32" && (fstatSync(fd).mode & 0o022) !== 0;
    const held = fd;
    return { root, drafts, isOpenToOthers, release: () => closeSync(held) };
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw hasCode(error, "EEXIST", "ENOTDIR") ? toNoFolder(folder, error) : toDirectoryError(error, folder);
  }
}

/** Where a blob of this key lies, and the two folders above it, the outer one first. */
export function toPlace(root: string, key: BlobKey) {
  const outer = path.join(root, key.slice(0, 2));
  return { outer, inner: path.join(root, key.slice(0, 5)), file: path.join(root, key) };
}

/** Are the folders above a blob there? @throws UserError `images-unsafe` where one is a link */
export async function hasFolders(root: string, key: BlobKey, shown: string): Promise<boolean> {
  const { outer, inner } = toPlace(root, key);
  try {
    const found = await Promise.all([lstat(outer), lstat(inner)]);
    if (found.every((entry) => entry.isDirectory())) return true;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
  throw toUnsafe(shown);
}

/** Makes the folders above a blob, one by one: a path that is made whole would follow links. */
export async function makeFolders(root: string, key: BlobKey, shown: string): Promise<void> {
  if (await hasFolders(root, key, shown)) return;
  const { outer, inner } = toPlace(root, key);
  if (await makeFolder(outer, shown)) await syncFolder(root);
  if (await makeFolder(inner, shown)) await syncFolder(outer);
}

/** False: it was there. */
async function makeFolder(folder: string, shown: string): Promise<boolean> {
  try {
    await mkdir(folder, { mode: folderMode });
    return true;
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
    if ((await lstat(folder)).isDirectory()) return false;
    throw toUnsafe(shown);
  }
}

/** Makes durable what was renamed into a folder, or removed from it. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders; its renames are durable with the journal.
  if (process.platform === "win32") return;
  const handle = await open(folder, O_RDONLY | O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
