import { constants, createReadStream, fstatSync, open } from "node:fs";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import { isatty, ReadStream as TerminalStream } from "node:tty";
import { promisify } from "node:util";
import { toExcerpt } from "../../domain/chat-id.ts";
import { UserError } from "../../lib/errors.ts";

const openFd = promisify(open);

const faults: Readonly<Record<string, readonly [code: string, what: string]>> = {
  ENOENT: ["file-not-found", "there is no such file: check the path"],
  ENOTDIR: ["file-not-found", "there is no such file: part of the path is not a directory"],
  EACCES: ["file-not-readable", "no permission to read it: change its mode or run as its owner"],
  EPERM: ["file-not-readable", "no permission to read it: change its mode or run as its owner"],
};

/**
 * A pipe is opened without a wait for its writer: the stream waits instead, and can be destroyed. A thread that waits in
 * open(2) ends with a writer or a SIGKILL only. Linux tells of no end before a first writer has come; other systems may.
 */
const withoutWaiting = process.platform === "linux" ? constants.O_NONBLOCK : 0;

/**
 * Opens FILE, or stdin for `-`. Throws UserError where the file is missing, a directory, or not
 * readable. The reader of the stream destroys it.
 */
export async function openSource(path: string): Promise<Readable> {
  if (path === "-") return process.stdin;
  const { O_RDONLY, O_NOCTTY } = constants;
  try {
    return toReadable(path, await openFd(path, O_RDONLY | withoutWaiting | (O_NOCTTY ?? 0)));
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const name = toExcerpt(path, 200);
    const errno = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const [code, what] = faults[errno] ?? ["file-not-readable", `the system refuses it (${errno})`];
    throw new UserError(code, `cannot read ${name}: ${what}`, { cause });
  }
}

/** Pipes and terminals are read when the system says that there is something: no thread waits in read(2) either. */
function toReadable(path: string, fd: number): Readable {
  const found = fstatSync(fd);
  if (found.isDirectory()) {
    const stream = createReadStream(path, { fd });
    stream.destroy();
    const name = toExcerpt(path, 200);
    throw new UserError("file-is-directory", `cannot read ${name}: it is a directory, name a file in it`);
  }
  if (found.isFIFO()) return new Socket({ fd, readable: true, writable: false });
  return isatty(fd) ? new TerminalStream(fd) : createReadStream(path, { fd });
}
