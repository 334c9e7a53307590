import { constants } from "node:fs";
import { lstat, rename } from "node:fs/promises";
import type { Account } from "./choose-account.ts";
import { openPlainFile } from "./plain-files.ts";

/** The server's log, opened by us and handed over as a file: no account needs to reach its path. */
export interface ServerLog {
  readonly fd: number;
  /** What was written since it was opened. */
  readNews(): Promise<string>;
  close(): Promise<void>;
}

const MAX_BYTES = 10 * 1024 * 1024;
/** More than any start writes. */
const MAX_NEWS_BYTES = 64 * 1024;

/** Opens the log for appending. One above 10 MB is moved to `<file>.1` first, in place of the last such. */
export async function openServerLog(file: string, owner: Account | undefined): Promise<ServerLog> {
  const before = await sizeOf(file);
  if (before > MAX_BYTES) await rename(file, `${file}.1`);
  const { O_APPEND, O_CREAT, O_RDWR } = constants;
  const handle = await openPlainFile(file, O_APPEND | O_CREAT | O_RDWR, { mode: 0o600 });
  if (owner) await handle.chown(owner.uid, owner.gid);
  const start = (await handle.stat()).size;
  return {
    fd: handle.fd,
    async readNews() {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(MAX_NEWS_BYTES), 0, MAX_NEWS_BYTES, start);
      return buffer.toString("utf8", 0, bytesRead);
    },
    close: () => handle.close(),
  };
}

async function sizeOf(file: string): Promise<number> {
  return lstat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/**
 * Whether the server did not start for a reason that passes. Another program took the port since it was chosen, or processes of
 * a killed server still end.
 */
export function isPassing(text: string): boolean {
  return /could not create any TCP\/IP sockets|still in use|lock file "[^"]*" already exists/.test(text);
}

/** The line that says what went wrong, without its time: the last complaint, else the last line. */
export function lastTrouble(text: string): string | undefined {
  const lines = text.split("\n").map((line) => line.replace(/^.*?\d\d:\d\d\.\d+ \w+ \[\d+\]/, "").trim());
  const told = lines.filter((line) => line !== "" && !/^(?:pg_ctl:|Examine the log)/.test(line));
  const complaints = told.filter((line) => /\b(?:FATAL|PANIC|ERROR|error):/.test(line));
  // A full disk gives many lines, and only some of them name it.
  const trouble =
    complaints.find((line) => line.includes("No space left")) ?? complaints.at(-1) ?? told.at(-1);
  return trouble?.replace(/\.$/, "");
}
