import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Account } from "./choose-account.ts";

/** How to run one of Postgres's programs. */
export interface ProgramOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The account to run as; only root may give one. Supplementary groups are dropped with it. */
  readonly account?: Account | undefined;
  /** Entered before the account is changed, hence also below folders which the account may not enter. */
  readonly cwd?: string;
  readonly input?: string;
  /** A file for stdout and stderr instead of the returned text. */
  readonly outputFd?: number;
  /** `interrupt` for a program that cleans up on SIGINT; else it is killed with all its children. */
  readonly onAbort?: "interrupt" | "kill";
}

/** `exitCode` is absent when the program could not be started or was ended by a signal. */
export interface ProgramResult {
  readonly exitCode: number | undefined;
  readonly output: string;
}

/**
 * Runs a program in a session of its own, so that Ctrl-C in the terminal reaches us alone. Its environment is its own, too:
 * messages in English, no settings of libpq's by accident. (Node itself adds what Windows cannot do without.)
 *
 * @throws the signal's reason when aborted.
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<ProgramResult> {
  options.signal?.throwIfAborted();
  let child: ChildProcess;
  try {
    child = startChild(file, args, options);
  } catch (error) {
    // Some causes, such as a change of account that is not allowed, are thrown and not emitted.
    return { exitCode: undefined, output: String(error) };
  }
  const stop = () => stopChild(child, options.onAbort ?? "kill");
  const timer = setTimeout(stop, options.timeoutMs);
  options.signal?.addEventListener("abort", stop, { once: true });
  try {
    const result = await collect(child, options.input);
    options.signal?.throwIfAborted();
    return result;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", stop);
  }
}

function startChild(file: string, args: readonly string[], options: ProgramOptions): ChildProcess {
  const sink = options.outputFd ?? "pipe";
  return spawn(file, args, {
    detached: true,
    windowsHide: true,
    env: { LC_ALL: "C" },
    stdio: [options.input === undefined ? "ignore" : "pipe", sink, sink],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...options.account,
  });
}

function collect(child: ChildProcess, input: string | undefined): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
    }
    child.once("error", (error) => resolve({ exitCode: undefined, output: error.message }));
    child.once("close", (code) =>
      resolve({ exitCode: code ?? undefined, output: Buffer.concat(chunks).toString("utf8") }),
    );
    // A program that ends without reading its input is told by its exit code.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}

function stopChild(child: ChildProcess, how: "interrupt" | "kill"): void {
  if (child.pid === undefined) return;
  if (how === "interrupt") {
    child.kill("SIGINT");
    return;
  }
  try {
    // Its own session makes it the leader of a group of its own, which Windows does not have.
    process.kill(process.platform === "win32" ? child.pid : -child.pid, "SIGKILL");
  } catch {
    // The program ended by itself in the meantime.
  }
}
