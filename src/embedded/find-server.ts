import { rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../lib/errors.ts";
import { readPlainFile } from "./plain-files.ts";
import { hasCode, inspectProcess } from "./process-mark.ts";

/** The server of a cluster: `busy` while it starts or stops. */
export type Server =
  | {
      readonly kind: "none";
      /** The port of a server that crashed: its clients will look for it there. */ readonly formerPort?: number;
    }
  | { readonly kind: "busy"; readonly pid: number }
  | { readonly kind: "ready"; readonly pid: number; readonly port: number };

const POLL_MS = 25;

/** Looks for the server, as its file postmaster.pid tells (PostgreSQL, src/include/utils/pidfile.h). */
export async function findServer(clusterDir: string): Promise<Server> {
  const file = path.join(clusterDir, "postmaster.pid");
  const lines = (await readIfThere(file)).split("\n").map((line) => line.trim());
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  if (!Number.isInteger(pid) || pid <= 0) return { kind: "none" };

  const state = await inspectProcess(pid);
  const isServer = state.running && (state.name === undefined || state.name === "postgres");
  if (!isServer) {
    // Postgres itself minds only whether the number is taken. A zombie takes it, or another process after a container's
    // restart. Where it is free it looks further (for orphaned backends), which needs the file.
    if (state.running || state.name !== undefined) await rm(file, { force: true });
    return port > 0 ? { kind: "none", formerPort: port } : { kind: "none" };
  }
  return lines[7] === "ready" && port > 0 ? { kind: "ready", pid, port } : { kind: "busy", pid };
}

/** Waits until the server is not between two states. */
export async function findSettledServer(
  clusterDir: string,
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<Exclude<Server, { kind: "busy" }>> {
  const until = performance.now() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const server = await findServer(clusterDir);
    if (server.kind !== "busy") return server;
    if (performance.now() > until) {
      throw new UserError(
        "embedded-postgres-busy",
        `the embedded Postgres (pid ${server.pid}) neither gets ready nor stops. See postgres.log in ` +
          path.dirname(clusterDir),
        { retryable: true },
      );
    }
    await delay(POLL_MS);
  }
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readPlainFile(file);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return "";
    throw error;
  }
}
