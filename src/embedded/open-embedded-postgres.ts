import { stat } from "node:fs/promises";
import path from "node:path";
import { once } from "../lib/closing/once.ts";
import { chooseAccount } from "./choose-account.ts";
import { createCluster, readPassword } from "./create-cluster.ts";
import { explainHeld, explainSystemError, openDataFolder } from "./open-data-folder.ts";
import type { DataFolder } from "./open-data-folder.ts";
import { openInstallation } from "./open-installation.ts";
import type { Installation } from "./open-installation.ts";
import { addParticipant, hasParticipants } from "./participants.ts";
import type { Participant } from "./participants.ts";
import { giveTree } from "./plain-files.ts";
import { hasCode } from "./process-mark.ts";
import { startServer, stopServer } from "./start-server.ts";
import { withDirectoryLock } from "./with-directory-lock.ts";

/** A Postgres of our own, shared by all our processes that use the same data folder. */
export interface EmbeddedPostgres {
  /** postgres://… of the database `avatars`; holds the password. */
  readonly url: string;
  /** Absolute. */
  readonly dataDir: string;
  /** Whether this call made the data anew, started the server on data there was, or found it running. */
  readonly started: "new" | "started" | "joined";
  /** Stops the server if no other process uses it. Has an end; a second call is harmless. */
  close(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** The folder for everything: `postgres/` (the cluster), `postgres.log`, and who uses it. */
  readonly dataDir: string;
  readonly signal?: AbortSignal;
  /** Settings of Postgres for a start by this call, e.g. `{ fsync: "off" }` for tests. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly log?: (event: string, fields: Record<string, unknown>) => void;
}

/** Above the longest start that another process may be busy with. */
const OPEN_LOCK_TIMEOUT_MS = 300_000;
const CLOSE_LOCK_TIMEOUT_MS = 30_000;

/**
 * Joins the server that runs on this data folder, or starts it, or makes it first. The last to close stops it. A process that
 * was killed counts as gone; a server it left running is joined by the next.
 *
 * Processes are told by their ids, so all must see the same ones: not two containers on one folder.
 *
 * @throws UserError saying what is in the way and what to do; the signal's reason when aborted.
 */
export async function openEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => {});
  const dataDir = path.resolve(options.dataDir);
  const { place, installation, ...opened } = await open(dataDir, options).catch((error: unknown) => {
    throw explainSystemError(error, dataDir);
  });
  log("embedded-postgres-opened", { dataDir, started: opened.started, port: opened.port });

  return {
    url: `postgres://postgres:${opened.password}@127.0.0.1:${opened.port}/avatars`,
    dataDir,
    started: opened.started,
    close: once(async () => {
      const stopped = await leaveUnderLock(installation, place, opened.participant).finally(() =>
        place.release(),
      );
      log("embedded-postgres-closed", { dataDir, stopped });
    }),
  };
}

async function open(dataDir: string, options: EmbeddedPostgresOptions) {
  const place = await openDataFolder(dataDir);
  try {
    const account = await chooseAccount(place.dataDir, place.clusterDir);
    const installation = await openInstallation(account);
    const opened = await withDirectoryLock(place.lockDir, () => enter(installation, place, options), {
      timeoutMs: OPEN_LOCK_TIMEOUT_MS,
      signal: options.signal,
    });
    return { place, installation, ...opened };
  } catch (error) {
    const explained = explainHeld(error, place.explain);
    place.release();
    throw explained;
  }
}

async function enter(installation: Installation, place: DataFolder, options: EmbeddedPostgresOptions) {
  const participant = await addParticipant(place.participantsDir);
  try {
    const isNew = await ensureCluster(installation, place.clusterDir, options);
    const password = await readPassword(installation, place.clusterDir);
    const { port, joined } = await startServer({
      installation,
      clusterDir: place.clusterDir,
      settings: options.settings ?? {},
      logOwner: place.owner,
      signal: options.signal,
    });
    options.signal?.throwIfAborted();
    const started: EmbeddedPostgres["started"] = isNew ? "new" : joined ? "joined" : "started";
    return { participant, password, port, started };
  } catch (error) {
    // The first error is the one to tell.
    await leave(installation, place, participant).catch(() => undefined);
    throw error;
  }
}

/** @returns whether the server was stopped. */
async function leave(
  installation: Installation,
  place: DataFolder,
  participant: Participant,
): Promise<boolean> {
  await participant.remove();
  if (await hasParticipants(place.participantsDir)) return false;
  await stopServer(installation, place.clusterDir);
  return true;
}

async function leaveUnderLock(installation: Installation, place: DataFolder, participant: Participant) {
  try {
    return await withDirectoryLock(place.lockDir, () => leave(installation, place, participant), {
      timeoutMs: CLOSE_LOCK_TIMEOUT_MS,
    });
  } catch (error) {
    // The holder of the lock uses the server as well, and will stop it.
    await participant.remove();
    throw explainSystemError(explainHeld(error, place.explain), place.explain(place.dataDir));
  }
}

/** @returns whether the cluster was made now. */
async function ensureCluster(
  installation: Installation,
  clusterDir: string,
  options: EmbeddedPostgresOptions,
): Promise<boolean> {
  try {
    const { uid } = await stat(clusterDir);
    // Copied by root, say from a backup.
    if (installation.account && uid === 0) await giveTree(clusterDir, installation.account);
    return false;
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
  const durable = options.settings?.["fsync"] !== "off";
  await createCluster(installation, clusterDir, { signal: options.signal, durable });
  return true;
}
