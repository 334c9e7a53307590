import { createServer } from "node:net";
import { once } from "node:events";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../lib/errors.ts";
import type { Account } from "./choose-account.ts";
import { findServer, findSettledServer } from "./find-server.ts";
import type { Installation } from "./open-installation.ts";
import { isPassing, lastTrouble, openServerLog } from "./server-log.ts";
import { writeSettings } from "./write-settings.ts";

/** Enough to replay what a crash left of the log, which max_wal_size bounds at about 1 GB. */
const START_TIMEOUT_SECONDS = 120;
/** How long a cause that passes is waited for. */
const PATIENCE_MS = 20_000;
const RETRY_MS = 100;
const STOP_MODES = [
  { mode: "fast", seconds: 60 },
  // Loses nothing either, the next start recovers.
  { mode: "immediate", seconds: 10 },
];

export interface StartOptions {
  readonly installation: Installation;
  readonly clusterDir: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly logOwner: Account | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts the server on a free port, or finds it running. To be called under the lock.
 *
 * @throws UserError with the last complaint in the server's log, and where that log is.
 */
export async function startServer(options: StartOptions): Promise<{ port: number; joined: boolean }> {
  const until = performance.now() + PATIENCE_MS;
  const waiting = { timeoutMs: START_TIMEOUT_SECONDS * 1000, signal: options.signal };
  for (let joined = true; ; joined = false) {
    const server = await findSettledServer(options.clusterDir, waiting);
    if (server.kind === "ready") return { port: server.port, joined };

    const trouble = await tryStart(options, server.formerPort);
    if (trouble !== undefined && (!isPassing(trouble) || performance.now() > until)) {
      throw startFailed(options.clusterDir, trouble);
    }
    if (trouble !== undefined) await delay(RETRY_MS);
  }
}

/**
 * Stops the server and waits until it has gone. To be called under the lock.
 *
 * @throws UserError when it does not go.
 */
export async function stopServer(installation: Installation, clusterDir: string): Promise<void> {
  for (const { mode, seconds } of STOP_MODES) {
    if ((await findServer(clusterDir)).kind === "none") return;
    const args: [string, ...string[]] = ["stop", "-s", "-w", "-m", mode, "-t", `${seconds}`];
    const { exitCode } = await installation.run("pg_ctl", clusterDir, args, {
      timeoutMs: (seconds + 5) * 1000,
    });
    if (exitCode === 0) return;
  }
  if ((await findServer(clusterDir)).kind === "none") return;
  throw new UserError(
    "embedded-postgres-stop-failed",
    `the embedded Postgres in ${clusterDir} could not be stopped. See ${logPath(clusterDir)}`,
  );
}

/** @returns what went wrong, if anything. */
async function tryStart(options: StartOptions, formerPort: number | undefined): Promise<string | undefined> {
  const { installation, clusterDir } = options;
  const port = `${await findFreePort(formerPort)}`;
  await writeSettings(clusterDir, { ...options.settings, port }, installation.account);
  const log = await openServerLog(logPath(clusterDir), options.logOwner);
  try {
    const args: [string, ...string[]] = ["start", "-s", "-w", "-t", `${START_TIMEOUT_SECONDS}`];
    const { exitCode, output } = await installation.run("pg_ctl", clusterDir, args, {
      timeoutMs: (START_TIMEOUT_SECONDS + 5) * 1000,
      signal: options.signal,
      // While it waits, pg_ctl passes SIGINT on to the server it has started.
      onAbort: "interrupt",
      outputFd: log.fd,
    });
    return exitCode === 0 ? undefined : output + (await log.readNews());
  } finally {
    await log.close();
  }
}

/** The preferred one if it is free. Who is faster than Postgres may still take it: see `isPassing`. */
async function findFreePort(preferred = 0): Promise<number> {
  const probe = createServer().listen(preferred, "127.0.0.1");
  try {
    await once(probe, "listening");
  } catch (error) {
    if (preferred !== 0) return findFreePort();
    throw error;
  }
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  return typeof address === "object" && address ? address.port : 0;
}

function logPath(clusterDir: string): string {
  return path.join(path.dirname(clusterDir), "postgres.log");
}

function startFailed(clusterDir: string, trouble: string): UserError {
  return new UserError(
    "embedded-postgres-start-failed",
    `the embedded Postgres does not start: ${lastTrouble(trouble) ?? "it gave no reason"}. ` +
      `Its log is ${logPath(clusterDir)}`,
  );
}
