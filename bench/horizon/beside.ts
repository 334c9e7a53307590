import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Closer } from "../../src/lib/closing/closer.ts";
import type { BesideName } from "./figures.ts";

export interface BesideOptions {
  readonly name: BesideName;
  readonly databaseUrl: string;
  /** By whom it is dumped: a pg_dump as new as the server, or psql that reads what pg_dump would. */
  readonly dumper: Dumper;
  readonly closer: Closer;
}

export type Dumper = "pg_dump" | "psql";

/** What goes on in other sessions. */
export interface Beside {
  /** @throws when it does not go on any more */
  assertAlive(): void;
}

/** Begins it for the whole run; the closer ends it. */
export async function startBeside({ name, databaseUrl, dumper, closer }: BesideOptions): Promise<Beside> {
  if (name === "dump") return startDumps(databaseUrl, dumper, closer);
  if (name === "snapshot") await openSnapshot(databaseUrl, closer);
  return { assertAlive: () => undefined };
}

/** As a report holds it, or an export: open, and idle. */
async function openSnapshot(databaseUrl: string, closer: Closer): Promise<void> {
  const session = new pg.Client(databaseUrl);
  await session.connect();
  closer.add("snapshot", () => session.end());
  await session.query("begin isolation level repeatable read");
  await session.query("select count(*) from avatars.contacts");
}

/** As pg_dump reads: one snapshot, all tables locked against changes of their shape, one table after the other. */
const dumpSql = `
begin isolation level repeatable read, read only;
select format('lock table %I.%I in access share mode', schemaname, tablename)
from pg_tables where schemaname = 'avatars' order by tablename \\gexec
select format('copy %I.%I to stdout', schemaname, tablename)
from pg_tables where schemaname = 'avatars' order by tablename \\gexec
commit;
`;

/** What takes a dump in is no quicker than this: each is open for a while. */
const chunkPauseMs = 40;

/** One after the other until the end. */
function startDumps(databaseUrl: string, dumper: Dumper, closer: Closer): Beside {
  const stopping = new AbortController();
  let dump: ChildProcess | undefined;
  const work = async () => {
    while (!stopping.signal.aborted) {
      dump = startDump(databaseUrl, dumper);
      const ended = once(dump, "close") as Promise<[number | null]>;
      await takeIn(dump);
      const [code] = await ended;
      if (code !== 0 && !stopping.signal.aborted) throw new Error(`${dumper} ended with ${code}`);
    }
  };
  const working = work();
  let failure: unknown;
  const settled = working.catch((error: unknown) => (failure = error));
  closer.add("dumps", async () => {
    stopping.abort();
    dump?.kill("SIGKILL");
    await settled;
  });
  return {
    assertAlive() {
      if (failure !== undefined) throw failure;
    },
  };
}

async function takeIn({ stdout }: ChildProcess): Promise<void> {
  if (stdout === null) return;
  const chunks = stdout[Symbol.asyncIterator]();
  while ((await chunks.next()).done !== true) await sleep(chunkPauseMs);
}

function startDump(databaseUrl: string, dumper: Dumper): ChildProcess {
  const args =
    dumper === "pg_dump"
      ? ["--schema=avatars", databaseUrl]
      : ["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", databaseUrl];
  const dump = spawn(dumper, args, { stdio: ["pipe", "pipe", "inherit"] });
  dump.stdin?.end(dumper === "pg_dump" ? "" : dumpSql);
  return dump;
}

/** pg_dump refuses servers that are newer than itself. */
export async function chooseDumper(serverVersion: string): Promise<Dumper> {
  const dump = spawn("pg_dump", ["--version"], { stdio: ["ignore", "pipe", "ignore"] });
  const missing = once(dump, "error").then(() => "");
  let text = "";
  dump.stdout.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk));
  const told = once(dump, "close").then(() => text);
  const [, major = "0"] = /(\d+)(?:\.\d+)?/.exec(await Promise.race([missing, told])) ?? [];
  return Number(major) >= Number.parseInt(serverVersion, 10) ? "pg_dump" : "psql";
}
