import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

/** Set AVATARS_TEST_BIN to test a build that lies elsewhere. */
export const bin =
  process.env["AVATARS_TEST_BIN"] ?? fileURLToPath(new URL("../../dist/bin.js", import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliRun {
  readonly child: ChildProcess;
  /** All that was printed so far, both streams in their order of arrival. */
  readonly printed: () => string;
  readonly ended: Promise<CliResult>;
}

export interface CliOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly stdin?: string | Buffer;
  /** An open file as standard input, in place of a text. */
  readonly stdinFd?: number;
  /** What its user typed: `npx avatars`, unless told, or `node dist/bin.js`. */
  readonly typed?: "npx" | "node";
}

/** Starts the built command as its user would: a process of its own, with no setting but those given. */
export function startCli(
  args: readonly string[],
  { env = {}, cwd, stdin, stdinFd, typed = "npx" }: CliOptions = {},
): CliRun {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd,
    // By its temporary folder it is known to belong to this run of the tests: see watchdog.js.
    env: {
      PATH: process.env["PATH"] ?? "",
      TMPDIR: tmpdir(),
      // Most simulators answer with URLs of WhatsApp's, which no test may ask.
      AVATARS_IMAGES: "off",
      // As npm sets it.
      ...(typed === "npx" && { npm_command: "exec" }),
      ...env,
    },
    stdio: [stdinFd ?? (stdin === undefined ? "ignore" : "pipe"), "pipe", "pipe"],
  });
  const texts = { stdout: "", stderr: "", both: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (chunk: string) => {
      texts[name] += chunk;
      texts.both += chunk;
    });
  }
  child.stdin?.end(stdin);
  const ended = once(child, "close").then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    stdout: texts.stdout,
    stderr: texts.stderr,
  }));
  return { child, printed: () => texts.both, ended };
}

/** Runs the built command to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).ended;
}
