import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { chown, mkdir, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../lib/errors.ts";
import type { Installation } from "./open-installation.ts";
import type { ProgramResult } from "./run-program.ts";
import { lastTrouble } from "./server-log.ts";
import { SETTINGS_FILE } from "./write-settings.ts";

/** Where the password lies: in the cluster, so that the two come and go together. */
const PASSWORD_FILE = "avatars.password";
const DRAFT_PREFIX = "postgres.new-";
const TIMEOUT_MS = 120_000;

/**
 * Makes a new cluster with the database `avatars`. It gets its name when it is complete: one that was
 * interrupted in the making is never taken for a real one, and is swept away here.
 *
 * @throws UserError with Postgres's own reason.
 */
export async function createCluster(
  installation: Installation,
  clusterDir: string,
  options: { signal?: AbortSignal | undefined; durable: boolean },
): Promise<void> {
  const parent = path.dirname(clusterDir);
  await removeDrafts(parent);
  const draft = await mkdtemp(path.join(parent, DRAFT_PREFIX));
  try {
    const data = path.join(draft, "data");
    const password = path.join(draft, "password");
    await mkdir(data, { mode: 0o700 });
    await writeFile(password, randomBytes(24).toString("base64url"), { mode: 0o600, flag: "wx" });
    const { account } = installation;
    if (account) for (const file of [draft, data, password]) await chown(file, account.uid, account.gid);

    await initialize(installation, data, options);
    await rename(password, path.join(data, PASSWORD_FILE));
    await append(path.join(data, "postgresql.conf"), `\ninclude_if_exists '${SETTINGS_FILE}'\n`);
    await createDatabase(installation, data, options);
    await rename(data, clusterDir);
    if (options.durable) await syncDirectory(parent);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** @throws UserError when the cluster is not one of ours, or of another major version of Postgres. */
export async function readPassword(installation: Installation, clusterDir: string): Promise<string> {
  const version = await readFile(path.join(clusterDir, "PG_VERSION"), "utf8").catch(() => "");
  if (version.trim() !== `${installation.majorVersion}`) {
    throw new UserError(
      "embedded-postgres-version",
      `${clusterDir} holds ${version === "" ? "no Postgres data" : `data of Postgres ${version.trim()}`}, ` +
        `this is Postgres ${installation.majorVersion}. Move it away (or dump it with the version it is of), ` +
        `choose another data folder, or set DATABASE_URL`,
    );
  }
  try {
    return await readFile(path.join(clusterDir, PASSWORD_FILE), "utf8");
  } catch (error) {
    throw new UserError(
      "embedded-postgres-permission",
      `the password of the embedded Postgres cannot be read from ${path.join(clusterDir, PASSWORD_FILE)}`,
      { cause: error },
    );
  }
}

async function removeDrafts(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(DRAFT_PREFIX)) continue;
    // An orphaned initdb may still be writing there; then the next start removes it.
    await rm(path.join(parent, name), { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
  }
}

async function initialize(
  installation: Installation,
  data: string,
  options: { signal?: AbortSignal | undefined; durable: boolean },
): Promise<void> {
  const args: [string, ...string[]] = [
    "--username=postgres",
    // Relative to the data directory: the account may not be able to enter by the full path.
    `--pwfile=${path.join("..", "password")}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    // Sorts by code point, the same on every machine and in every version of its C library.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    ...(options.durable ? [] : ["--no-sync"]),
  ];
  const result = await installation.run("initdb", data, args, {
    timeoutMs: TIMEOUT_MS,
    signal: options.signal,
  });
  if (result.exitCode !== 0) throw creationFailed(data, result);
}

/**
 * In single-user mode: no server, no port, no client. It ends with 0 whatever happened.
 * Not tested on Windows, where, other than initdb, it does not lay down an administrator's rights.
 */
async function createDatabase(
  installation: Installation,
  data: string,
  options: { signal?: AbortSignal | undefined; durable: boolean },
): Promise<void> {
  const args: [string, ...string[]] = [
    "--single",
    "-c",
    "log_min_messages=error",
    ...(options.durable ? [] : ["-F"]),
    "postgres",
  ];
  const result = await installation.run("postgres", data, args, {
    timeoutMs: TIMEOUT_MS,
    signal: options.signal,
    input: "CREATE DATABASE avatars\n",
  });
  if (result.exitCode !== 0 || /\b(?:ERROR|FATAL|PANIC):/.test(result.output)) {
    throw creationFailed(data, result);
  }
}

/** As root we write in a folder of another account's: no link of its making is followed. */
async function append(file: string, text: string): Promise<void> {
  const { O_APPEND, O_WRONLY, O_NOFOLLOW } = constants;
  const handle = await open(file, O_APPEND | O_WRONLY | (O_NOFOLLOW ?? 0));
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function creationFailed(data: string, result: ProgramResult): UserError {
  return new UserError(
    "embedded-postgres-init-failed",
    `the embedded Postgres could not be set up in ${path.dirname(path.dirname(data))}: ` +
      `${lastTrouble(result.output) ?? "it ended without a reason"}. Or set DATABASE_URL`,
  );
}
