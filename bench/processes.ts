import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The built command: benchmarks run what is shipped. */
const bin = fileURLToPath(new URL("../../bin.js", import.meta.url));

/** A process of ours under measurement. */
export interface BenchProcess {
  readonly pid: number;
  /** The end of what it has printed, both streams. */
  printed(): string;
  /** @throws when it has ended by itself */
  assertAlive(): void;
  /** Resolves when it has ended by itself. @throws when it failed */
  ended(): Promise<void>;
  /** SIGKILL: what it worked on is thrown away with it. Twice is harmless. */
  kill(): Promise<void>;
}

const keptText = 20_000;

/** Starts a Node.js program with no setting but those given. */
export function startNode(name: string, args: readonly string[], env: Record<string, string>): BenchProcess {
  const child = spawn(process.execPath, [...args], {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text = (text + chunk).slice(-keptText);
    });
  }
  const end = once(child, "close");
  // Met by whoever asks for it.
  end.catch(() => undefined);
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} cannot be started`);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid,
    printed: () => text,
    assertAlive() {
      if (hasEnded()) throw new Error(`${name} has ended (${child.exitCode ?? child.signalCode}): ${text}`);
    },
    async ended() {
      const [code] = (await end) as [number | null];
      if (code !== 0) throw new Error(`${name} has ended with ${code}: ${text}`);
    },
    async kill() {
      if (hasEnded()) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

/** `avatars …`, as built. */
export function startAvatars(
  args: readonly string[],
  env: Record<string, string>,
  nodeOptions: readonly string[] = [],
): BenchProcess {
  return startNode(`avatars ${args[0] ?? ""}`, [...nodeOptions, bin, ...args], env);
}

/** Runs `avatars …` to its end. Returns what it wrote to standard output. @throws when it fails */
export async function runAvatars(args: readonly string[], env: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, [bin, ...args], {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`avatars ${args.join(" ")} ended with ${code}`);
  return text;
}

export interface Patience {
  /** For the message when it takes too long. */
  readonly what: string;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

/** Asks every 100 ms until there is something to find. @throws after a minute, unless told otherwise */
export async function until<T>(
  find: () => Promise<T | undefined> | T | undefined,
  { what, signal, timeoutMs = 60_000 }: Patience,
): Promise<T> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > giveUpAt) throw new Error(`waited ${timeoutMs / 1000} s in vain: ${what}`);
    await sleep(100, undefined, { signal });
  }
}
