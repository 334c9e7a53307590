import { constants, createReadStream } from "node:fs";
import { access, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { toExcerpt } from "../domain/chat-id.ts";
import { UserError } from "../lib/errors.ts";

const faults: Readonly<Record<string, readonly [code: string, what: string]>> = {
  ENOENT: ["file-not-found", "there is no such file: check the path"],
  ENOTDIR: ["file-not-found", "there is no such file: part of the path is not a directory"],
  EACCES: ["file-not-readable", "no permission to read it: change its mode or run as its owner"],
  EPERM: ["file-not-readable", "no permission to read it: change its mode or run as its owner"],
};

/**
 * Opens FILE, or stdin for `-`. Throws UserError where the file is missing, a directory, or not
 * readable. Whoever reads the stream destroys it.
 */
export async function openSource(path: string): Promise<Readable> {
  if (path === "-") return process.stdin;
  const name = toExcerpt(path, 200);
  try {
    const found = await stat(path);
    if (found.isDirectory()) {
      throw new UserError("file-is-directory", `cannot read ${name}: it is a directory, name a file in it`);
    }
    await access(path, constants.R_OK);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const errno = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const [code, what] = faults[errno] ?? ["file-not-readable", `the system refuses it (${errno})`];
    throw new UserError(code, `cannot read ${name}: ${what}`, { cause });
  }
  return createReadStream(path);
}
