import { readFile, stat } from "node:fs/promises";
import { UserError } from "../lib/errors.ts";
import { hasCode } from "./process-mark.ts";

/** An account for Postgres when we are root, as which Postgres refuses to run. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The customary number of `nobody` where no list of users can be read. */
const NOBODY: Account = { uid: 65_534, gid: 65_534 };

/**
 * The account for Postgres, or nothing when it can simply run as ourselves. Root takes the owner of the cluster that is there,
 * else of the folder around it, else `postgres`, else `nobody`. These accounts exist already: nothing on the system is changed.
 *
 * @throws UserError when the cluster belongs to another user and we are not root.
 */
export async function chooseAccount(dataDir: string, clusterDir: string): Promise<Account | undefined> {
  const ownUid = process.geteuid?.();
  if (ownUid === undefined) return undefined;
  const clusterOwner = await findOwner(clusterDir);
  if (ownUid !== 0) {
    if (clusterOwner === undefined || clusterOwner.uid === ownUid) return undefined;
    throw new UserError(
      "embedded-postgres-permission",
      `${clusterDir} belongs to another user (uid ${clusterOwner.uid}). ` +
        `Run as that user, choose another data folder, or set DATABASE_URL`,
    );
  }
  if (clusterOwner !== undefined && clusterOwner.uid !== 0) return clusterOwner;
  const accounts = await readAccounts();
  const folderOwner = await findOwner(dataDir);
  // initdb refuses a user without a name.
  if (folderOwner !== undefined && folderOwner.uid !== 0 && hasName(accounts, folderOwner)) {
    return folderOwner;
  }
  return accounts.get("postgres") ?? accounts.get("_postgres") ?? accounts.get("nobody") ?? NOBODY;
}

function hasName(accounts: ReadonlyMap<string, Account>, owner: Account): boolean {
  return [...accounts.values()].some(({ uid }) => uid === owner.uid);
}

async function findOwner(file: string): Promise<Account | undefined> {
  try {
    const { uid, gid } = await stat(file);
    return { uid, gid };
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function readAccounts(): Promise<Map<string, Account>> {
  const text = await readFile("/etc/passwd", "utf8").catch(() => "");
  const accounts = new Map<string, Account>();
  for (const line of text.split("\n")) {
    const [name, , uid, gid] = line.split(":");
    // macOS writes ids of `nobody` as -2; spawn takes them unsigned.
    if (name && uid && gid && !name.startsWith("#")) {
      accounts.set(name, { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 });
    }
  }
  return accounts;
}
