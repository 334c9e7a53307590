import { expect } from "vitest";
import type { LoggedCall } from "../../src/simulator/world/call-log.ts";
import type { ScriptedAnswer } from "../../src/simulator/world/scripts.ts";
import type { Method } from "../../src/simulator/world/simulator-options.ts";
import { startSimulator, type Simulator } from "../../src/simulator/start-simulator.ts";
import { eventually } from "./eventually.ts";
import type { CliRun } from "./run-cli.ts";
import { makeChats, openStage, toAnswers, toTruths, type Stage, type StageOptions } from "./stage.ts";

/** The contacts of each instance: those that have an answer from before, and new ones. */
export const chats = makeChats(24);
export const known = chats.slice(0, 16);

/** Calls in flight per instance on this stage. */
export const maxInFlight = 5;
export const probeBaseMs = 300;
/** The longest hold of a test: what is mended is seen within it. */
const probeMaxMs = 8_000;

/** What `avatars status --json` tells of an instance, as far as holds go. */
export interface ToldStatus {
  readonly instanceId: string;
  readonly state: string;
  readonly heldReason?: string;
  readonly heldUntil?: string;
  readonly due: number;
  readonly waiting: number;
  readonly claimed: number;
}

export interface InstanceRow {
  readonly state: "active" | "held" | "paused";
  readonly heldReason: string | null;
  readonly heldSince: Date | null;
  readonly heldUntil: Date | null;
  readonly holdCount: number;
  readonly marginMs: number | null;
  readonly slowdown: number;
  /** Where its pace began after the provider refused; null: it never took of the pace. */
  readonly climbRate: number | null;
}

/** A stage with instances that get into trouble, all worked on by one worker. */
export interface TroubleStage extends Stage {
  /** Ids that nobody has used yet. */
  newId(): string;
  /** Starts a worker whose log the stage reads. */
  startReadWorker(env?: Record<string, string>): Promise<CliRun>;
  readInstance(id: string): Promise<InstanceRow>;
  setInstance(id: string, column: "state" | "held_until" | "sealed_token", value: unknown): Promise<void>;
  /** Runs `status --json`; those who ask at the same time share one process. */
  readTold(id: string): Promise<ToldStatus>;
  /** getAvatar calls that have arrived. */
  readCalls(id: string): LoggedCall[];
  readStateCalls(id: string): LoggedCall[];
  enqueue(id: string, chatIds: readonly string[]): Promise<void>;
  /** Every call of the instance is answered so from now on; with `methods` only these. */
  answerAll(id: string, answer: ScriptedAnswer, methods?: readonly Method[]): void;
  makeWell(id: string): void;
  /** How often the workers logged this event of the instance. */
  countLogged(id: string, message: string): number;
  /** Everything that the workers printed. */
  printed(): string;
  /** Everybody still waits, with no attempt spent, and as the known ones were before. */
  expectNobodyHarmed(id: string): Promise<void>;
  expectAllAnswered(id: string, chatIds?: readonly string[]): Promise<void>;
}

export async function openTroubleStage(options: StageOptions): Promise<TroubleStage> {
  const stage = await openStage({
    latencyMs: 20,
    ...options,
    env: {
      AVATARS_REQUESTS_PER_SECOND: "500",
      AVATARS_MAX_IN_FLIGHT: String(maxInFlight),
      AVATARS_PROBE_BASE_MS: String(probeBaseMs),
      AVATARS_PROBE_MAX_MS: String(probeMaxMs),
      ...options.env,
    },
  });
  const { simulator, database } = stage;
  const workers: CliRun[] = [];
  let lastId = 1_101_000_000;
  const readAllTold = shareInFlight(async () => {
    const { stdout } = await stage.run(["status", "--json"]);
    return (JSON.parse(stdout) as { instances: ToldStatus[] }).instances;
  });
  const printed = () => workers.map((worker) => worker.printed()).join("");

  return {
    ...stage,
    printed,
    newId: () => String((lastId += 1)),
    async startReadWorker(env) {
      const worker = await stage.startWorker(env);
      workers.push(worker);
      return worker;
    },
    async readInstance(id) {
      const { rows } = await database.pool.query<InstanceRow>(
        `select state, held_reason as "heldReason", held_since as "heldSince", held_until as "heldUntil",
           hold_count as "holdCount", margin_ms as "marginMs", slowdown,
           climb_rate as "climbRate"
         from avatars.instances where id = $1`,
        [id],
      );
      const [row] = rows;
      if (row === undefined) throw new Error(`no instance ${id}`);
      return row;
    },
    async setInstance(id, column, value) {
      await database.pool.query(`update avatars.instances set ${column} = $2 where id = $1`, [id, value]);
    },
    async readTold(id) {
      const told = (await readAllTold()).find(({ instanceId }) => instanceId === id);
      if (told === undefined) throw new Error(`nothing told of instance ${id}`);
      return told;
    },
    readCalls: (id) => simulator.readLog({ instanceId: id, method: "getAvatar" }),
    readStateCalls: (id) => simulator.readLog({ instanceId: id, method: "getStateInstance" }),
    async enqueue(id, chatIds) {
      await database.pool.query("select avatars.enqueue($1, $2, max_age => '0')", [id, chatIds]);
    },
    answerAll(id, answer, methods = ["getAvatar", "getStateInstance"]) {
      for (const method of methods) {
        simulator.script({ instanceId: id, method, answers: [answer], times: "forever" });
      }
    },
    makeWell(id) {
      simulator.clearScripts({ instanceId: id });
      simulator.setState(id, "authorized");
      simulator.setToken(undefined, id);
    },
    countLogged: (id, message) => readEvents(printed()).filter((event) => isOf(event, id, message)).length,
    async expectNobodyHarmed(id) {
      const unasked = chats
        .slice(known.length)
        .map((chatId) => ({ chatId, status: "unknown", version: null }));
      const before = [...toTruths(simulator, id, known), ...unasked];
      await eventually(async () => {
        const contacts = await stage.readContacts(id);
        expect(toAnswers(contacts)).toEqual(before);
        const harmed = contacts
          .filter(({ attempts, inFlight, pending }) => attempts > 0 || inFlight || !pending)
          .map(({ chatId, attempts, inFlight, pending }) =>
            JSON.stringify({ chatId, attempts, inFlight, pending }),
          );
        expect(harmed).toEqual([]);
      });
    },
    async expectAllAnswered(id, chatIds = chats) {
      await eventually(async () => expect(await stage.countPending(id)).toBe(0));
      expect(toAnswers(await stage.readContacts(id))).toEqual(toTruths(simulator, id, chatIds));
    },
  };
}

interface LoggedEvent {
  readonly msg?: string;
  readonly instanceId?: string;
}

function readEvents(printed: string): LoggedEvent[] {
  return printed
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line) as LoggedEvent);
}

function isOf(event: LoggedEvent, id: string, message: string): boolean {
  return event.instanceId === id && event.msg === message;
}

/** `run`, so that whoever calls while it runs gets its result instead of a run of his own. */
function shareInFlight<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  };
}

/**
 * A simulator that can be closed and opened again at the same place. Its port lies below those that the system gives
 * away, so that nobody else takes it meanwhile.
 */
export async function openMovableSimulator(): Promise<{
  readonly url: string;
  close(): Promise<void>;
  open(): Promise<Simulator>;
}> {
  const options = { latencyMs: 5, tailShare: 0, troubledShare: 0, requestsPerSecond: 1_000 };
  for (let tries = 1; ; tries += 1) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    try {
      let simulator = await startSimulator({ ...options, port });
      return {
        url: simulator.url,
        close: () => simulator.close(),
        open: async () => (simulator = await startSimulator({ ...options, port })),
      };
    } catch (error) {
      if (tries === 20) throw error;
    }
  }
}

/** Calls whose answer is still awaited. */
export function isPending({ status, tookMs }: LoggedCall): boolean {
  return status === 0 && tookMs === 0;
}
