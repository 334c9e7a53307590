import { randomBytes, randomUUID } from "node:crypto";
import { link, open, realpath, unlink } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../lib/errors.ts";
import type { Account } from "./choose-account.ts";
import { explainHeld, isShared } from "./open-data-folder.ts";
import { holdFolder, readPlainFile } from "./plain-files.ts";
import { hasCode } from "./process-mark.ts";

const keyBytes = 32;

/**
 * The key of the embedded mode: made at the first start, kept in the data folder, mode 0600. Of several
 * processes that start at once one makes it. As root it belongs to the folder's owner, like all that is there.
 * @throws UserError `secret-key-damaged`, `embedded-postgres-unsafe`
 */
export async function openSecretKey(dataDir: string): Promise<Buffer> {
  if (!(await isShared(dataDir))) return openKeyIn(dataDir, undefined);
  const folder = holdFolder(await realpath(dataDir));
  try {
    return await openKeyIn(folder.path, folder.found);
  } catch (error) {
    throw explainHeld(error, (text) => text.replaceAll(folder.path, dataDir));
  } finally {
    folder.release();
  }
}

async function openKeyIn(dataDir: string, owner: Account | undefined): Promise<Buffer> {
  const path = join(dataDir, "secret.key");
  const made = await readKey(path);
  if (made) return made;
  // Written whole under another name first: half a key may never be read.
  const draft = `${path}.${randomUUID()}`;
  const handle = await open(draft, "wx", 0o600);
  try {
    await handle.writeFile(`${randomBytes(keyBytes).toString("base64")}\n`);
    if (owner) await handle.chown(owner.uid, owner.gid);
    await link(draft, path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await handle.close();
    await unlink(draft);
  }
  const key = await readKey(path);
  if (key) return key;
  throw new UserError("secret-key-damaged", `${path} cannot be read back: check the disk`);
}

async function readKey(path: string): Promise<Buffer | undefined> {
  try {
    const key = Buffer.from(await readPlainFile(path), "base64");
    if (key.length === keyBytes) return key;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
  throw new UserError(
    "secret-key-damaged",
    `${path} is not a key of ${keyBytes} bytes in base64: restore it from a backup, or remove it and add the instances' tokens again`,
  );
}
