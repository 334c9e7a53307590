import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

const execFileAsync = promisify(execFile);

/** What the operating system says about a process id. */
export interface ProcessState {
  readonly running: boolean;
  /** The program's name, where it is cheap to learn (Linux). */
  readonly name?: string;
  /** The moment of its start, in a unit of the system. Tells a process from a later one with the same id. */
  readonly startedAt?: string;
}

/** Looks a process up. One that ended but was not reaped yet (a zombie) is not running. */
export async function inspectProcess(pid: number): Promise<ProcessState> {
  if (!exists(pid)) return { running: false };
  const found = process.platform === "linux" ? await readProc(pid) : await readPs(pid);
  // Hidden from us (hidepid), Windows, or gone just now: more is not known.
  return found ?? { running: exists(pid) };
}

/** The mark of this process, safe in a file name: `1234-567890`, or `1234-0` without a start time. */
export async function ownProcessMark(): Promise<string> {
  const { startedAt } = await inspectProcess(process.pid);
  return `${process.pid}-${startedAt ?? 0}`;
}

/** Whether the process that wrote this mark still runs. A text that is no mark belongs to no process. */
export async function isMarkRunning(mark: string): Promise<boolean> {
  const [, pid, startedAt] = /^(\d+)-(\d+)$/.exec(mark) ?? [];
  if (pid === undefined) return false;
  const state = await inspectProcess(Number(pid));
  if (!state.running) return false;
  return startedAt === "0" || state.startedAt === undefined || state.startedAt === startedAt;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}

/** proc(5): "pid (name) state ppid …", where the name may hold spaces and parentheses. */
async function readProc(pid: number): Promise<ProcessState | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const nameEnd = stat.lastIndexOf(")");
  const fields = stat.slice(nameEnd + 2).split(" ");
  const [state, startedAt] = [fields[0], fields[19]];
  if (!state || !startedAt) return undefined;
  return { running: !/[ZX]/.test(state), name: stat.slice(stat.indexOf("(") + 1, nameEnd), startedAt };
}

/** POSIX ps, for macOS: "S+   Sun Nov 22 16:18:16 2026 /path/postgres". */
async function readPs(pid: number): Promise<ProcessState | undefined> {
  if (process.platform === "win32") return undefined;
  const args = ["-p", `${pid}`, "-o", "stat=", "-o", "lstart=", "-o", "comm="];
  const result = await execFileAsync("ps", args, { env: { LC_ALL: "C", PATH: "/bin:/usr/bin" } }).catch(
    () => undefined,
  );
  const [state, ...words] = result?.stdout.trim().split(/\s+/) ?? [];
  const startedAt = Date.parse(words.slice(0, 5).join(" "));
  const name = words.slice(5).join(" ");
  if (!state || !name || Number.isNaN(startedAt)) return undefined;
  return { running: !state.startsWith("Z"), name: path.basename(name), startedAt: `${startedAt}` };
}

/** Whether a foreign error carries one of these `code`s of Node's. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
