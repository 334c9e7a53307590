import { randomBytes } from "node:crypto";
import { constants, createWriteStream, fstatSync, open, rmSync, type Stats } from "node:fs";
import { access, lstat, rename, rm, stat } from "node:fs/promises";
import { Socket } from "node:net";
import { basename, dirname, join, resolve } from "node:path";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { isatty, WriteStream as TerminalStream } from "node:tty";
import { promisify } from "node:util";
import { UserError } from "../../lib/errors.ts";

/** A file in the making. */
export interface OutputFile {
  readonly stream: Writable;
  /** Ends the stream, and gives the file its name. */
  commit(): Promise<void>;
  /** Leaves nothing behind; harmless after `commit`. */
  discard(): Promise<void>;
}

const openFd = promisify(open);
/** How often a pipe is tried that has no reader yet. */
const pollMs = 50;
/** The longest name of a file has 255 bytes on most systems; a sign may take 4. */
const mostSigns = 50;
const drafts = new Set<string>();

/**
 * Opens OUT for writing. A file appears whole or not at all: it is written beside its place under a random name
 * (`<name>.<random>.part`). At the end it is moved there. What was there goes; a link is replaced and never followed. A pipe, a
 * terminal or another character device is written to as it is, also through a link.
 * @param signal ends the wait for a reader of a pipe
 * @throws UserError `file-not-writable`; the signal's reason
 */
export async function openOutput(path: string, signal?: AbortSignal): Promise<OutputFile> {
  try {
    if (await isWrittenInPlace(path)) return toOutput(await openInPlace(path, signal), undefined);
    return toOutput(await openDraft(path), path);
  } catch (error) {
    throw toWriteError(path, error);
  }
}

/**
 * Fails before the work, not after it, when OUT could not be written.
 * @throws UserError `file-not-writable`
 */
export async function assertWritable(path: string): Promise<void> {
  try {
    // To open a pipe would wake its reader.
    if (await isWrittenInPlace(path)) return await access(path, constants.W_OK);
    await (await openOutput(path)).discard();
  } catch (error) {
    throw toWriteError(path, error);
  }
}

/** Removes what an earlier run left under this name: a file, or a link itself; nothing else. */
export async function removeOutput(path: string): Promise<void> {
  if (await isWrittenInPlace(path).catch(() => true)) return;
  await rm(path, { force: true });
}

/** For the end of the process. What is killed leaves its draft behind. */
export function removeOpenDrafts(): void {
  for (const draft of drafts) rmSync(draft, { force: true });
}

interface Opened {
  readonly stream: Writable;
  readonly draft?: string;
}

function toOutput({ stream, draft }: Opened, path: string | undefined): OutputFile {
  // Met where it is awaited.
  stream.on("error", () => undefined);
  const remove = async () => {
    if (draft === undefined) return;
    await rm(draft, { force: true });
    drafts.delete(draft);
  };
  return {
    stream,
    async commit() {
      stream.end();
      await finished(stream, { readable: false });
      if (draft === undefined || path === undefined) return;
      await rename(draft, path);
      drafts.delete(draft);
    },
    async discard() {
      if (!stream.closed) {
        const closed = new Promise((done) => {
          stream.once("close", done);
        });
        stream.destroy();
        await closed;
      }
      await remove();
    },
  };
}

/** Exclusively: any entry that has the name already, a link among others, makes it fail. */
async function openDraft(path: string): Promise<Opened> {
  // No half of a surrogate pair at its end.
  const name = basename(path)
    .slice(0, mostSigns)
    .replace(/[\ud800-\udbff]$/, "");
  const draft = join(dirname(path), `${name}.${randomBytes(8).toString("hex")}.part`);
  const { O_CREAT, O_EXCL, O_WRONLY } = constants;
  const fd = await openFd(draft, O_CREAT | O_EXCL | O_WRONLY, 0o666);
  drafts.add(draft);
  return { stream: createWriteStream(draft, { fd, flush: true }), draft };
}

/** Never blocks a thread, as the opening of a pipe without a reader would, beyond any Ctrl-C. */
async function openInPlace(path: string, signal: AbortSignal | undefined): Promise<Opened> {
  const { O_WRONLY, O_APPEND, O_NONBLOCK, O_NOCTTY } = constants;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const fd = await openFd(path, O_WRONLY | O_APPEND | (O_NONBLOCK ?? 0) | (O_NOCTTY ?? 0));
      return { stream: toWritable(fd, path) };
    } catch (error) {
      // A pipe without a reader; of a socket it says that it can't be opened.
      if (toCode(error) !== "ENXIO" || !(await stat(path)).isFIFO()) throw error;
    }
    await delay(pollMs, undefined, { signal }).catch(() => undefined);
  }
}

function toWritable(fd: number, path: string): Writable {
  if (fstatSync(fd).isFIFO()) return new Socket({ fd, readable: false, writable: true });
  return isatty(fd) ? new TerminalStream(fd) : createWriteStream(path, { fd });
}

/** @throws the system's error, also for what is no file to write: a folder, a disk, a socket */
async function isWrittenInPlace(path: string): Promise<boolean> {
  const found = await findIfThere(lstat, path);
  if (found === undefined || found.isFile()) return false;
  if (!found.isSymbolicLink()) return isStream(found);
  const target = await findIfThere(stat, path);
  // Links such as /dev/stderr are the system's.
  const isSystems = /^\/(?:dev|proc)\//.test(resolve(path));
  return isSystems || (target !== undefined && !target.isFile() && isStream(target));
}

function isStream(found: Stats): boolean {
  if (found.isFIFO() || found.isCharacterDevice()) return true;
  throw Object.assign(new Error("no file"), { code: found.isDirectory() ? "EISDIR" : "EINVAL" });
}

async function findIfThere(look: (path: string) => Promise<Stats>, path: string): Promise<Stats | undefined> {
  try {
    return await look(path);
  } catch (error) {
    if (toCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function toCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/** What the system says of a file that cannot be written, for people; other errors as they are. */
export function toWriteError(path: string, error: unknown): unknown {
  const code = toCode(error);
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  const message = `cannot write ${path} (${code}): check the folder and its permissions`;
  return new UserError("file-not-writable", message, { cause: error });
}
