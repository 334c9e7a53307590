import { randomBytes } from "node:crypto";
import { close, open, unlink, write } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { UserError } from "../../lib/errors.ts";

const openFd = promisify(open);
const closeFd = promisify(close);
const unlinkPath = promisify(unlink);
const writeFd = promisify(write);

/** A file without a name, for what does not fit into memory: it is gone with its last descriptor, whatever ends the process. */
export interface Spool {
  readonly fd: number;
  /** Bytes that were written. */
  readonly size: () => number;
  /** Appends; the bytes may be used again when it resolves. @throws UserError `no-spool`, retryable */
  append(bytes: Buffer): Promise<void>;
  /** Once. What is read at the same time must have ended. */
  close(): Promise<void>;
}

/**
 * Opens an empty file in the folder for temporary files (`TMPDIR`), that its owner alone may read.
 * @throws UserError `no-spool`, retryable
 */
export async function openSpool(): Promise<Spool> {
  const path = join(tmpdir(), `avatars-${randomBytes(12).toString("hex")}.tmp`);
  // Exclusively: an entry that is there already, a link among others, makes it fail.
  const fd = await openFd(path, "wx+", 0o600).catch(toNoSpool);
  await unlinkPath(path).catch(() => undefined);
  let size = 0;
  return {
    fd,
    size: () => size,
    async append(bytes) {
      for (let from = 0; from < bytes.length;) {
        const { bytesWritten } = await writeFd(fd, bytes, from, bytes.length - from, size).catch(toNoSpool);
        from += bytesWritten;
        size += bytesWritten;
      }
    },
    close: () => closeFd(fd),
  };
}

function toNoSpool(cause: unknown): never {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "no code";
  throw new UserError(
    "no-spool",
    `an Excel workbook is read from a temporary file, which cannot be written (${code}): make room in the folder for temporary files, or name another one by TMPDIR`,
    { cause, retryable: true },
  );
}
