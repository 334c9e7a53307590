import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, mkdtemp, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../lib/errors.ts";
import type { Account } from "./choose-account.ts";
import type { Installation } from "./open-installation.ts";
import { holdFolder, holdNewFolder, openPlainFile, readPlainFile, type HeldFolder } from "./plain-files.ts";
import { runProgram } from "./run-program.ts";
import type { ProgramResult } from "./run-program.ts";
import { lastTrouble } from "./server-log.ts";
import { SETTINGS_FILE } from "./write-settings.ts";

/** Where the password lies: in the cluster, so that the two come and go together. */
const PASSWORD_FILE = "avatars.password";
const DRAFT_PREFIX = "postgres.new-";
const TIMEOUT_MS = 120_000;

/**
 * Makes a new cluster with the database `avatars`. A cluster gets its name when it is complete. One that was interrupted in the
 * making is never taken for it, and is swept away here.
 *
 * @throws UserError with Postgres's own reason.
 */
export async function createCluster(
  installation: Installation,
  clusterDir: string,
  options: { signal?: AbortSignal | undefined; durable: boolean },
): Promise<void> {
  const parent = path.dirname(clusterDir);
  const { account } = installation;
  await removeDrafts(parent, account);
  const draft = await mkdtemp(path.join(parent, DRAFT_PREFIX));
  const held = account && (await holdNewFolder(draft));
  const place = held?.path ?? draft;
  let heldData: HeldFolder | undefined;
  try {
    await mkdir(path.join(place, "data"), { mode: 0o700 });
    heldData = account && holdFolder(path.join(place, "data"));
    const data = heldData?.path ?? path.join(place, "data");
    await writePassword(path.join(place, "password"), account);
    // The outer one last: from then on the account may exchange what is in it.
    if (account) for (const folder of [heldData, held]) folder?.giveTo(account);

    await initialize(installation, data, parent, options);
    await rename(path.join(place, "password"), path.join(data, PASSWORD_FILE));
    await append(path.join(data, "postgresql.conf"), `\ninclude_if_exists '${SETTINGS_FILE}'\n`);
    await createDatabase(installation, data, parent, options);
    await rename(path.join(place, "data"), clusterDir);
    if (options.durable) await syncDirectory(parent);
  } finally {
    heldData?.release();
    held?.release();
    await removeDraft(draft, account);
  }
}

async function writePassword(file: string, account: Account | undefined): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.writeFile(randomBytes(24).toString("base64url"));
    if (account) await handle.chown(account.uid, account.gid);
  } finally {
    await handle.close();
  }
}

/** @throws UserError when the cluster is not one of ours, or of another major version of Postgres. */
export async function readPassword(installation: Installation, clusterDir: string): Promise<string> {
  const version = await readPlainFile(path.join(clusterDir, "PG_VERSION")).catch(() => "");
  if (version.trim() !== `${installation.majorVersion}`) {
    throw new UserError(
      "embedded-postgres-version",
      `${clusterDir} holds ${version === "" ? "no Postgres data" : `data of Postgres ${version.trim()}`}, ` +
        `this is Postgres ${installation.majorVersion}. Move it away (or dump it with the version it is of), ` +
        `choose another data folder, or set DATABASE_URL`,
    );
  }
  try {
    // The password is sent to the server: no text may be sent so which the server's account could not read.
    return await readPlainFile(path.join(clusterDir, PASSWORD_FILE), 1);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(
      "embedded-postgres-permission",
      `the password of the embedded Postgres cannot be read from ${path.join(clusterDir, PASSWORD_FILE)}`,
      { cause: error },
    );
  }
}

async function removeDrafts(parent: string, account: Account | undefined): Promise<void> {
  for (const name of await readdir(parent)) {
    // An orphaned initdb may still be writing there; then the next start removes it.
    if (name.startsWith(DRAFT_PREFIX)) await removeDraft(path.join(parent, name), account);
  }
}

/**
 * In another account's folder root leaves it to `rm`, which walks by open folders. Node walks by names: a link that takes a
 * folder's place could lead it elsewhere.
 */
async function removeDraft(draft: string, account: Account | undefined): Promise<void> {
  if (account === undefined) {
    await rm(draft, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
    return;
  }
  // Nothing is in it when all went well.
  if (
    await rmdir(draft).then(
      () => true,
      () => false,
    )
  )
    return;
  const [cwd, name] = [path.dirname(draft), path.basename(draft)];
  await runProgram("/bin/rm", ["-rf", "--", name], { cwd, timeoutMs: TIMEOUT_MS });
}

async function initialize(
  installation: Installation,
  data: string,
  parent: string,
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
  if (result.exitCode !== 0) throw creationFailed(parent, result);
}

/**
 * In single-user mode: no server, no port, no client. It ends with 0 whatever happened.
 * Not tested on Windows, where, other than initdb, it does not lay down an administrator's rights.
 */
async function createDatabase(
  installation: Installation,
  data: string,
  parent: string,
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
    throw creationFailed(parent, result);
  }
}

/** The folder may be another account's, and we root: no link of its making is followed. */
async function append(file: string, text: string): Promise<void> {
  const handle = await openPlainFile(file, constants.O_APPEND | constants.O_WRONLY);
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

function creationFailed(parent: string, result: ProgramResult): UserError {
  return new UserError(
    "embedded-postgres-init-failed",
    `the embedded Postgres could not be set up in ${parent}: ` +
      `${lastTrouble(result.output) ?? "it ended without a reason"}. Or set DATABASE_URL`,
  );
}
