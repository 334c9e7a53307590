import os from "node:os";
import { UserError } from "../lib/errors.ts";
import type { Account } from "./choose-account.ts";
import { copyBinaries } from "./copy-binaries.ts";
import { findBinaries, programPath } from "./find-binaries.ts";
import type { Binaries, Program } from "./find-binaries.ts";
import { runProgram } from "./run-program.ts";
import type { ProgramOptions, ProgramResult } from "./run-program.ts";

/** Postgres's programs, ready to run. */
export interface Installation {
  readonly majorVersion: number;
  readonly account: Account | undefined;
  /** Runs a program inside a data directory; `-D <that directory>` is added after the first argument. */
  run(
    program: Program,
    clusterDir: string,
    args: readonly [string, ...string[]],
    options: Omit<ProgramOptions, "account" | "cwd">,
  ): Promise<ProgramResult>;
}

const VERSION_TIMEOUT_MS = 20_000;
/** /var/cache first: the temporary folder is cleaned of old files on many systems. */
const PLACES_FOR_COPIES = ["/var/cache", os.tmpdir()];

/**
 * Finds binaries that the account can run. As root they are copied where it can reach them, if need be.
 *
 * @throws UserError when there are none for this machine.
 */
export async function openInstallation(account: Account | undefined): Promise<Installation> {
  const found = await findBinaries();
  const first = await readVersion(found, account);
  if (first.majorVersion !== undefined) return createInstallation(found, first.majorVersion, account);
  // Whether it is the account, or the machine.
  const asOurselves = account === undefined ? first : await readVersion(found, undefined);
  if (account === undefined || asOurselves.majorVersion === undefined) throw unsupported(asOurselves.output);

  for (const place of PLACES_FOR_COPIES) {
    const copy = await copyBinaries(found, place).catch(() => undefined);
    const { majorVersion } = copy === undefined ? {} : await readVersion(copy, account);
    if (copy && majorVersion !== undefined) return createInstallation(copy, majorVersion, account);
  }
  throw unreachable(found, account);
}

async function readVersion(binaries: Binaries, account: Account | undefined) {
  const options = { timeoutMs: VERSION_TIMEOUT_MS, account, cwd: "/" };
  const result = await runProgram(programPath(binaries, "postgres"), ["--version"], options);
  const [, major] = /PostgreSQL\) (\d+)/.exec(result.output) ?? [];
  return {
    output: result.output,
    majorVersion: result.exitCode === 0 && major ? Number(major) : undefined,
  };
}

function createInstallation(
  binaries: Binaries,
  majorVersion: number,
  account: Account | undefined,
): Installation {
  return {
    majorVersion,
    account,
    run(program, clusterDir, [first, ...rest], options) {
      const args = [first, "-D", reachableName(clusterDir, account), ...rest];
      return runProgram(programPath(binaries, program), args, { ...options, account, cwd: clusterDir });
    },
  };
}

/**
 * The data directory's name for the account. Root may have put it below folders which that account may not enter. Linux's link
 * to the working directory leads there without passing through them. Every process of Postgres stays in that directory all its
 * life.
 */
function reachableName(clusterDir: string, account: Account | undefined): string {
  return account !== undefined && process.platform === "linux" ? "/proc/self/cwd" : clusterDir;
}

function unsupported(output: string): UserError {
  return new UserError(
    "embedded-postgres-unsupported",
    `the embedded Postgres does not run on this system (on Linux it needs glibc, which Alpine lacks). ` +
      `Set DATABASE_URL to a PostgreSQL server of yours`,
    { cause: new Error(output) },
  );
}

function unreachable(binaries: Binaries, account: Account): UserError {
  return new UserError(
    "embedded-postgres-unreachable",
    `Postgres cannot run as root, and uid ${account.uid} cannot run it from ${binaries.directory} nor from ` +
      `a copy in ${PLACES_FOR_COPIES.join(" or ")}. Run this as an ordinary user, ` +
      `move the project to a folder open to all, or set DATABASE_URL`,
  );
}
