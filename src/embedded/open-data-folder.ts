import { chown, mkdir, stat } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../lib/errors.ts";
import type { Account } from "./choose-account.ts";
import { hasCode } from "./process-mark.ts";

/** Where everything of one embedded server lies. */
export interface DataFolder {
  readonly dataDir: string;
  /** Postgres's own data directory. */
  readonly clusterDir: string;
  readonly lockDir: string;
  readonly participantsDir: string;
}

/** Makes what is missing of the folder, except the cluster. */
export async function openDataFolder(dataDir: string): Promise<DataFolder> {
  const folder = {
    dataDir,
    clusterDir: path.join(dataDir, "postgres"),
    lockDir: path.join(dataDir, "postgres.lock"),
    participantsDir: path.join(dataDir, "postgres.users"),
  };
  await mkdir(dataDir, { recursive: true });
  const owner = await findFolderOwner(dataDir);
  for (const directory of [folder.lockDir, folder.participantsDir]) {
    await mkdir(directory, { recursive: true });
    if (owner) await chown(directory, owner.uid, owner.gid);
  }
  return folder;
}

/** As root, whom the folder belongs to instead, so that what we leave there can be used by that user. */
export async function findFolderOwner(dataDir: string): Promise<Account | undefined> {
  const { uid, gid } = await stat(dataDir);
  return process.geteuid?.() === 0 && uid !== 0 ? { uid, gid } : undefined;
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
