import { randomBytes } from "node:crypto";
import { link, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../lib/errors.ts";
import { hasCode } from "./process-mark.ts";

const keyBytes = 32;

/**
 * The key of the embedded mode: made at the first start, kept in the data folder, mode 0600. Of several
 * processes that start at once one makes it.
 * @throws UserError `secret-key-damaged`
 */
export async function openSecretKey(dataDir: string): Promise<Buffer> {
  const path = join(dataDir, "secret.key");
  const made = await readKey(path);
  if (made) return made;
  // Written whole under another name first: nobody may ever read half a key.
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, `${randomBytes(keyBytes).toString("base64")}\n`, { mode: 0o600 });
  try {
    await link(draft, path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await unlink(draft);
  }
  const key = await readKey(path);
  if (key) return key;
  throw new UserError("secret-key-damaged", `${path} cannot be read back: check the disk`);
}

async function readKey(path: string): Promise<Buffer | undefined> {
  try {
    const key = Buffer.from(await readFile(path, "utf8"), "base64");
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
