import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { lstat, open, opendir, rename, unlink } from "node:fs/promises";
import path from "node:path";
import { parseBlobKey, type BlobKey } from "./blob-key.ts";
import { maxBlobBytes } from "./blob-bytes.ts";
import type { BlobEntry } from "./blob-store.ts";
import { hasCode, toUnsafe } from "./directory-error.ts";
import {
  fileMode,
  hasFolders,
  makeFolders,
  syncFolder,
  toPlace,
  type HeldDirectory,
} from "./held-directory.ts";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** No write takes as long: an older draft is what a crash has left. */
const draftMaxAgeMs = 3_600_000;

/** @param shown the folder as the operator named it, for errors; likewise below */
export async function writeBlob(
  { root, drafts }: HeldDirectory,
  key: BlobKey,
  bytes: Uint8Array,
  shown: string,
): Promise<void> {
  const draft = await writeDraft(drafts, bytes);
  try {
    await makeFolders(root, key, shown);
    const { inner, file } = toPlace(root, key);
    await rename(draft, file);
    await syncFolder(inner);
  } catch (error) {
    await removeFile(draft);
    throw error;
  }
}

/** The path of a file that is on disk, whole, under a name of its own. */
export async function writeDraft(drafts: string, bytes: Uint8Array): Promise<string> {
  const draft = path.join(drafts, randomUUID());
  const handle = await open(draft, "wx", fileMode);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await removeFile(draft);
    throw error;
  }
  await handle.close();
  return draft;
}

/** Undefined: there is none. */
export async function readBlob(root: string, key: BlobKey, shown: string): Promise<Buffer | undefined> {
  if (!(await hasFolders(root, key, shown))) return undefined;
  const handle = await openBlob(toPlace(root, key).file);
  if (handle === undefined) return undefined;
  try {
    const found = await handle.stat();
    if (!found.isFile() || found.size > maxBlobBytes) throw toUnsafe(shown);
    const bytes = Buffer.allocUnsafe(found.size);
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  } finally {
    await handle.close();
  }
}

async function openBlob(file: string) {
  try {
    return await open(file, O_RDONLY | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0));
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Bytes; undefined: there is none. */
export async function measureBlob(root: string, key: BlobKey, shown: string): Promise<number | undefined> {
  if (!(await hasFolders(root, key, shown))) return undefined;
  const found = await findEntry(toPlace(root, key).file);
  if (found !== undefined && !found.isFile()) throw toUnsafe(shown);
  return found?.size;
}

/** Removes durably: what is erased must not come back with the power. */
export async function removeBlobs(root: string, keys: readonly BlobKey[], shown: string): Promise<void> {
  const touched = new Set<string>();
  for (const key of keys) {
    if (!(await hasFolders(root, key, shown))) continue;
    const { inner, file } = toPlace(root, key);
    if (await removeFile(file)) touched.add(inner);
  }
  for (const folder of touched) await syncFolder(folder);
}

/** False: there was none. */
export async function removeFile(file: string): Promise<boolean> {
  try {
    await unlink(file);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
}

/** Removes what crashes have left. @param now ms since 1970 */
export async function removeOldDrafts(drafts: string, now: number): Promise<void> {
  for (const name of await listNames(drafts)) {
    const draft = path.join(drafts, name);
    const found = await findEntry(draft);
    if (found?.isFile() && found.mtimeMs < now - draftMaxAgeMs) await removeFile(draft);
  }
}

/** All blobs in the folders that we make; links and names that are not ours are passed over. */
export async function* listBlobs(root: string): AsyncGenerator<BlobEntry> {
  for (const outer of await listFolders(root)) {
    for (const inner of await listFolders(path.join(root, outer))) {
      for (const name of await listNames(path.join(root, outer, inner))) {
        const key = parseBlobKey(`${outer}/${inner}/${name}`)?.key;
        if (key === undefined) continue;
        const found = await findEntry(path.join(root, key));
        if (found?.isFile()) yield { key, size: found.size, modifiedAt: found.mtime };
      }
    }
  }
}

async function listFolders(folder: string): Promise<string[]> {
  const names = (await listNames(folder)).filter((name) => /^[\da-f]{2}$/.test(name));
  const found = await Promise.all(names.map((name) => findEntry(path.join(folder, name))));
  return names.filter((_, at) => found[at]?.isDirectory());
}

/** Empty where the folder is gone meanwhile. */
async function listNames(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of await opendir(folder)) names.push(entry.name);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
  return names;
}

/** The entry itself, not what it leads to; undefined: there is none. */
async function findEntry(file: string) {
  try {
    return await lstat(file);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}
