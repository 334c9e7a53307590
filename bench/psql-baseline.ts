import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { readCpuMsWithChildren } from "./machine.ts";
import type { Scene, Servers } from "./servers.ts";

/** As quick as it gets: all at once, in one transaction, into the same table with the same indexes. */
export const contactsSql = `
insert into avatars.contacts (instance_id, chat_id, priority, wanted_at, fresh_after, due_at, turn)
select :'instance', chat_id, 1, now(), now() - interval '7 days', now(), row_number() over () from staged
on conflict (instance_id, chat_id) do update
set wanted_at = least(contacts.wanted_at, excluded.wanted_at), due_at = least(contacts.due_at, excluded.due_at);
`;

/** And what a batch consists of. */
export const membersSql = `
with batch as (
  insert into avatars.batches (instance_id, source, fresh_after, completed_intake_at)
  values (:'instance', 'psql', now() - interval '7 days', now()) returning id
), written as (
  ${contactsSql.trim().replace(/;$/, "")}
  returning id
)
insert into avatars.batch_members (batch_id, contact_id, position)
select b.id, w.id, row_number() over () from written w cross join batch b;
`;

export interface PsqlImport {
  /** One chat id per line. */
  readonly file: string;
  /** Its first line names the column. */
  readonly isCsv: boolean;
  readonly sql: string;
  readonly instanceId: string;
  readonly signal: AbortSignal;
}

/** `\copy` into a temporary table, and the statements. @throws when psql fails */
export async function importByPsql(
  scene: Scene,
  { file, isCsv, sql, instanceId, signal }: PsqlImport,
): Promise<void> {
  const script = `${file}.sql`;
  const format = isCsv ? " with (format csv, header)" : "";
  await writeFile(
    script,
    `begin;\ncreate temp table staged (chat_id text not null) on commit drop;\n\\copy staged from '${file}'${format}\n${sql}commit;\n`,
  );
  const url = scene.env["DATABASE_URL"] ?? "";
  const args = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", `instance=${instanceId}`, "-f", script, url];
  const psql = spawn("psql", args, { stdio: ["ignore", "ignore", "inherit"], signal });
  const [code] = (await once(psql, "exit")) as [number | null];
  if (code !== 0) throw new Error(`psql ended with ${code}`);
}

export interface ChatFile {
  readonly path: string;
  readonly contacts: number;
  /** In the order of their chat ids, or in none, as in a customer list. */
  readonly sorted: boolean;
  /** The first line; empty: none. */
  readonly head: string;
  readonly toLine: (chatId: string) => string;
}

const linesAtOnce = 10_000;

export async function writeChats({ path, contacts, sorted, head, toLine }: ChatFile): Promise<void> {
  const makeBlocks = function* () {
    if (head !== "") yield `${head}\n`;
    for (let from = 0; from < contacts; from += linesAtOnce) {
      const numbers = Array.from({ length: Math.min(linesAtOnce, contacts - from) }, (_, n) => from + n);
      yield numbers.map((n) => `${toLine(toChatId(n, sorted))}\n`).join("");
    }
  };
  await pipeline(Readable.from(makeBlocks()), createWriteStream(path));
}

/** A prime: multiplied by anything that is no multiple of it, numbers below it change places. */
const numberCount = 9_999_991;

function toChatId(n: number, sorted: boolean): string {
  const number = sorted ? n : (n * 6_364_137) % numberCount;
  return `7900${String(number).padStart(7, "0")}@c.us`;
}

/** Seconds on the wall, seconds of CPU of Postgres with all its processes, and what came out. */
export async function time<T>(
  { postgres }: Pick<Servers, "postgres">,
  work: () => Promise<T>,
): Promise<[seconds: number, postgresCpuSeconds: number, result: T]> {
  const readCpu = () => (postgres.pid === undefined ? 0 : readCpuMsWithChildren(postgres.pid));
  const cpuMs = readCpu();
  const startedMs = performance.now();
  const result = await work();
  const seconds = (performance.now() - startedMs) / 1000;
  // What an ended connection has cost is known a moment later.
  await sleep(500);
  return [seconds, (readCpu() - cpuMs) / 1000, result];
}

/** @throws when there are more or fewer rows */
export async function assertRows(
  { client }: Pick<Scene, "client">,
  table: "contacts" | "batch_members",
  expected: number,
): Promise<void> {
  const { rows } = await client.query<{ count: string }>(`select count(*) from avatars.${table}`);
  const found = Number(rows[0]?.count);
  if (found !== expected) throw new Error(`${found} rows of ${table} instead of ${expected}`);
}
