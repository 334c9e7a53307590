import { lstat, mkdir, readdir, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../lib/errors.ts";
import type { Account } from "./choose-account.ts";
import { holdFolder, type HeldFolder } from "./plain-files.ts";
import { hasCode } from "./process-mark.ts";

/** Where everything of one embedded server lies. */
export interface DataFolder {
  readonly dataDir: string;
  /** Postgres's own data directory. */
  readonly clusterDir: string;
  readonly lockDir: string;
  readonly participantsDir: string;
  /** The folder's owner, where we are root and it is another user's: that user can use what we leave there. */
  readonly owner: Account | undefined;
  /** Whether we are root, and another user may write in the folder. No name in it is trusted then. */
  readonly shared: boolean;
  /** Puts the folder's names in place of those by which we hold it. */
  explain(text: string): string;
  release(): void;
}

/**
 * Makes what is missing of the folder, except the cluster. Root holds each part of a folder in which another user may write.
 * New meanings of its names then lead us nowhere.
 * @throws UserError `embedded-postgres-unsafe` where a part of such a folder is a link
 */
export async function openDataFolder(dataDir: string): Promise<DataFolder> {
  await mkdir(dataDir, { recursive: true });
  if (!(await isShared(dataDir))) {
    const own = { ...toPlace(dataDir), owner: undefined, shared: false };
    for (const directory of [own.lockDir, own.participantsDir]) await mkdir(directory, { recursive: true });
    return { ...own, explain: (text) => text, release: () => undefined };
  }
  const held: { readonly shown: string; readonly folder: HeldFolder }[] = [];
  const hold = (directory: string, shown: string) => {
    const folder = holdFolder(directory);
    // The inner ones first: their names begin with those of the outer ones where they are not held.
    held.unshift({ shown, folder });
    return folder;
  };
  const explain = (text: string) =>
    held.reduce((told, { shown, folder }) => told.replaceAll(folder.path, shown), text);
  const release = () => held.splice(0).forEach(({ folder }) => folder.release());
  try {
    // The path to it, with its links, is of the caller's choice.
    const folder = hold(await realpath(dataDir), dataDir);
    const { uid, gid } = folder.found;
    const owner = uid === 0 ? undefined : { uid, gid };
    const place = toPlace(folder.path);
    const holdPart = async (directory: string) => {
      const part = hold(await makeFolder(directory), path.join(dataDir, path.basename(directory)));
      // What root left there otherwise is not ours to give.
      if (owner && part.found.uid === 0 && (await readdir(part.path)).length === 0) part.giveTo(owner);
      return part.path;
    };
    const lockDir = await holdPart(place.lockDir);
    const participantsDir = await holdPart(place.participantsDir);
    await assertNoLink(place.clusterDir);
    return { ...place, lockDir, participantsDir, owner, shared: true, explain, release };
  } catch (error) {
    const explained = explainHeld(error, explain);
    release();
    throw explained;
  }
}

function toPlace(dataDir: string) {
  return {
    dataDir,
    clusterDir: path.join(dataDir, "postgres"),
    lockDir: path.join(dataDir, "postgres.lock"),
    participantsDir: path.join(dataDir, "postgres.users"),
  };
}

/** Whether we are root, and another user may rename and link in this folder. */
export async function isShared(dataDir: string): Promise<boolean> {
  if (process.geteuid?.() !== 0) return false;
  const { uid, mode } = await stat(dataDir);
  return uid !== 0 || (mode & 0o022) !== 0;
}

async function makeFolder(directory: string): Promise<string> {
  try {
    await mkdir(directory);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
  return directory;
}

/** Its owner would be taken for the account of Postgres. */
async function assertNoLink(clusterDir: string): Promise<void> {
  const found = await lstat(clusterDir).catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  });
  if (found !== undefined && !found.isDirectory()) holdFolder(clusterDir).release();
}

/** An error of ours with the names that people know. */
export function explainHeld(error: unknown, explain: (text: string) => string): unknown {
  if (!(error instanceof UserError) || explain(error.message) === error.message) return error;
  const { code, retryable, cause } = error;
  return new UserError(code, explain(error.message), { retryable, cause });
}

/** Says what a full disk or a missing permission means here; other errors are returned as they are. */
export function explainSystemError(error: unknown, dataDir: string): unknown {
  if (hasCode(error, "ENOSPC", "EDQUOT")) {
    const message = `there is no space left for the data folder ${dataDir}`;
    return new UserError("embedded-postgres-no-space", message, { cause: error });
  }
  if (hasCode(error, "EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST")) {
    return new UserError(
      "embedded-postgres-permission",
      `the data folder ${dataDir} cannot be used by this user. Choose another one, or set DATABASE_URL`,
      { cause: error },
    );
  }
  return error;
}
