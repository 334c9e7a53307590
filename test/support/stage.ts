import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { createSecretBox } from "../../src/lib/secrets/secret-box.ts";
import type { SimulatorOptions } from "../../src/simulator/world/simulator-options.ts";
import { startSimulator, type Simulator } from "../../src/simulator/start-simulator.ts";
import { removeInstance } from "../../src/store/instances/remove-instance.ts";
import type { TestBackend } from "./backends.ts";
import { acceptContacts } from "./ledger.ts";
import { runCli, startCli, type CliOptions, type CliResult, type CliRun } from "./run-cli.ts";
import { openTestDatabase, type TestDatabase } from "./test-database.ts";

/** What is stored of one contact, with its avatar. */
export interface StoredContact {
  readonly chatId: string;
  readonly status: string;
  readonly attempts: number;
  readonly lastError: string | null;
  readonly externalRef: string | null;
  /** A lease that was handed over has left it in flight. */
  readonly inFlight: boolean;
  readonly pending: boolean;
  readonly version: string | null;
  readonly url: string | null;
}

export interface InstanceSettings {
  readonly url?: string;
  readonly token?: string;
  readonly rps?: number;
  readonly maxInFlight?: number;
}

/** Everything around one product under test: its database, its queue, the simulator, and a folder to run in. */
export interface Stage {
  readonly database: TestDatabase;
  readonly simulator: Simulator;
  /** The working directory of every command. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** A path in the folder. */
  path(name: string): string;
  /** Runs the command to its end, with the settings of the stage and those given on top. */
  run(args: readonly string[], options?: CliOptions): Promise<CliResult>;
  /** Starts the command; what still runs when the stage closes is killed. */
  start(args: readonly string[], options?: CliOptions): CliRun;
  /** `avatars worker`; resolves when it works. */
  startWorker(env?: Record<string, string>): Promise<CliRun>;
  /** What `avatars instance add` does, without the time that a process takes; by default with the simulator's URL. */
  addInstance(id: string, settings?: InstanceSettings): Promise<void>;
  /** Writes a file into the folder. Returns its path. */
  write(name: string, content: string | Buffer): Promise<string>;
  /**
   * Takes these chats in as `avatars import` does, without the time that a process takes. Nobody is woken: it is for
   * workers that are started afterwards. Returns the batch's id.
   */
  acceptChats(instanceId: string, chatIds: readonly string[]): Promise<string>;
  /** Takes an instance away with all that is stored of it, so that later tests have no part of its work. */
  removeInstance(instanceId: string): Promise<void>;
  /** `avatars import` of these chats. Returns the batch's id. */
  importChats(instanceId: string, chatIds: readonly string[], args?: readonly string[]): Promise<string>;
  /** In the order of their chat ids. */
  readContacts(instanceId: string): Promise<StoredContact[]>;
  /** How many contacts of the instance still wait for an answer. */
  countPending(instanceId: string): Promise<number>;
  close(): Promise<void>;
}

export interface StageOptions extends SimulatorOptions {
  readonly backend?: TestBackend;
  readonly env?: Record<string, string>;
}

/** 32 bytes in base64. */
export const secretKey = Buffer.alloc(32, 7).toString("base64");

/** A stage on which everything is quick: high rates, short answers, short backoff, no troubles by themselves. */
export async function openStage({ backend, env, ...options }: StageOptions = {}): Promise<Stage> {
  const database = await openTestDatabase();
  const simulator = await startSimulator({
    latencyMs: 5,
    tailShare: 0,
    troubledShare: 0,
    requestsPerSecond: 1_000,
    ...options,
  });
  const folder = await mkdtemp(join(tmpdir(), "contact-avatars-stage-"));
  const stageEnv: Record<string, string> = {
    DATABASE_URL: database.url,
    AVATARS_SECRET_KEY: secretKey,
    AVATARS_REQUESTS_PER_SECOND: "900",
    AVATARS_RETRY_BASE_MS: "50",
    AVATARS_RETRY_MAX_MS: "500",
    ...(await backend?.open()),
    ...env,
  };
  const started: CliRun[] = [];
  const withStage = (given: CliOptions = {}) => ({
    cwd: folder,
    ...given,
    env: { ...stageEnv, ...given.env },
  });

  const stage: Stage = {
    database,
    simulator,
    folder,
    env: stageEnv,
    path: (name) => join(folder, name),
    run: (args, given) => runCli(args, withStage(given)),
    start(args, given) {
      const run = startCli(args, withStage(given));
      started.push(run);
      return run;
    },
    async startWorker(workerEnv = {}) {
      const worker = stage.start(["worker"], { env: workerEnv });
      await printedBy(worker, "worker started");
      return worker;
    },
    async addInstance(id, { url = simulator.url, token = "anything", rps, maxInFlight } = {}) {
      const sealed = createSecretBox(Buffer.from(secretKey, "base64")).seal(token, { id, apiUrl: url });
      await database.pool.query(
        `insert into avatars.instances (id, api_url, sealed_token, requests_per_second, max_in_flight)
         values ($1, $2, $3, $4, $5)`,
        [id, url, sealed, rps ?? null, maxInFlight ?? null],
      );
    },
    async write(name, content) {
      await writeFile(stage.path(name), content);
      return stage.path(name);
    },
    acceptChats: (instanceId, chatIds) =>
      acceptContacts(database.pool, instanceId as InstanceId, chatIds as readonly ChatId[]),
    async removeInstance(instanceId) {
      await removeInstance(database, instanceId as InstanceId);
    },
    async importChats(instanceId, chatIds, args = []) {
      const stdin = `chat_id\n${chatIds.join("\n")}\n`;
      const imported = await stage.run(["import", "-", "--instance", instanceId, ...args], { stdin });
      if (imported.code !== 0) throw new Error(`import: ${imported.stderr}`);
      return imported.stdout.trim();
    },
    async readContacts(instanceId) {
      const { rows } = await database.pool.query<StoredContact>(
        `select c.chat_id as "chatId", c.status, c.attempts, c.last_error as "lastError",
           c.external_ref as "externalRef", c.in_flight_epoch is not null as "inFlight", c.wanted_at is not null as pending,
           a.version, a.url
         from avatars.contacts c left join avatars.avatars a on a.contact_id = c.id
         where c.instance_id = $1 order by c.chat_id collate "C"`,
        [instanceId],
      );
      return rows;
    },
    async countPending(instanceId) {
      const { rows } = await database.pool.query<{ pending: number }>(
        "select count(*)::int as pending from avatars.contacts where instance_id = $1 and wanted_at is not null",
        [instanceId],
      );
      return rows[0]?.pending ?? 0;
    },
    async close() {
      for (const { child, ended } of started) {
        if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
        await ended;
      }
      await simulator.close();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return stage;
}

/** Resolves when the command has printed `text`; fails when it ends without. */
export async function printedBy({ child, printed, ended }: CliRun, text: string): Promise<void> {
  const over = new AbortController();
  const end = ended.then(() => "ended" as const);
  try {
    while (!printed().includes(text)) {
      const chunks = [child.stdout, child.stderr].map((stream) =>
        stream === null ? new Promise<never>(() => undefined) : once(stream, "data", { signal: over.signal }),
      );
      for (const chunk of chunks) chunk.catch(() => undefined);
      if ((await Promise.race([end, ...chunks])) === "ended" && !printed().includes(text)) {
        throw new Error(`the command ended without printing "${text}": ${printed()}`);
      }
    }
  } finally {
    over.abort();
  }
}

/** So many chats of users; none of them asks for an outcome by its digits. */
export function makeChats(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `79001${String(from + index).padStart(6, "0")}@c.us`);
}

export type ResultRow = Readonly<Record<string, string>>;

/** The rows of a CSV text, by the names in its header. */
export function parseCsv(text: string): ResultRow[] {
  return parse(text, { columns: true });
}

export async function readCsv(path: string): Promise<ResultRow[]> {
  return parseCsv(await readFile(path, "utf8"));
}

/** What the simulator holds for these chats, in the shape that {@link toAnswers} gives. */
export function toTruths(simulator: Simulator, instanceId: string, chatIds: readonly string[]) {
  return chatIds.map((chatId) => {
    const truth = simulator.truth(instanceId, chatId);
    return {
      chatId,
      status: truth.kind === "unanswered" ? "unreachable" : truth.kind,
      version: truth.kind === "present" ? (truth.version ?? null) : null,
    };
  });
}

/** The answers that are stored, to compare with {@link toTruths}. */
export function toAnswers(contacts: readonly StoredContact[]) {
  return contacts.map(({ chatId, status, version }) => ({ chatId, status, version }));
}

/** How often each chat was asked for. */
export function countAsked(simulator: Simulator, instanceId: string): Map<string, number> {
  const asked = new Map<string, number>();
  for (const { chatId } of simulator.readLog({ instanceId, method: "getAvatar" })) {
    asked.set(chatId, (asked.get(chatId) ?? 0) + 1);
  }
  return asked;
}

/** Lines of a stack trace: there must never be any. */
export function findStackLines(text: string): string[] {
  return text.split("\n").filter((line) => /^\s+at /.test(line));
}
