import { randomUUID } from "node:crypto";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { Lookup } from "../../src/domain/outcome.ts";
import { startTasks } from "../../src/lib/start-tasks.ts";
import { isTransient } from "../../src/store/postgres/database.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { createWorker, type WorkerEvents } from "../../src/worker/create-worker.ts";
import { paceSettings } from "./ledger.ts";
import { defaultRefreshPolicy } from "./refresh.ts";
import type { TestDatabase } from "./test-database.ts";

/** Workers of several processes, each with runs of all instances one after the other. */
export interface TestWorkers {
  /** The calls that were made. */
  readonly calls: ChatId[];
  /** Calls that are answered when this resolves. */
  readonly held: Map<ChatId, Promise<void>>;
  /** The answers of calls, where they are to be others than `absent`. */
  readonly answers: Map<ChatId, Lookup>;
  countLeases(): number;
  stop(): Promise<void>;
}

export interface TestWorkersOptions {
  readonly instanceIds: readonly InstanceId[];
  readonly processes?: number;
  /** Runs hand their lease over as soon as they only wait for answers. */
  readonly othersWait?: boolean;
}

const absent: Lookup = { outcome: { kind: "absent", scope: "chat" }, tookMs: 1 };

export function openTestWorkers(
  database: TestDatabase,
  { instanceIds, processes = 1, othersWait = false }: TestWorkersOptions,
): TestWorkers {
  const calls: ChatId[] = [];
  const held = new Map<ChatId, Promise<void>>();
  const answers = new Map<ChatId, Lookup>();
  const stopping = new AbortController();
  const noEvents = new Proxy({} as WorkerEvents, { get: () => () => undefined });
  let leases = 0;
  const createOne = () => {
    const real = createRunLedger(database, paceSettings);
    return createWorker({
      ledger: {
        ...real,
        async takeLease(instanceId, owner) {
          const result = await real.takeLease(instanceId, owner);
          if (result.kind === "taken") leases += 1;
          return result;
        },
      },
      owner: randomUUID(),
      isTransient,
      async getAvatar(_instance, chatId, { mayLeave }) {
        mayLeave();
        calls.push(chatId);
        const answer = answers.get(chatId) ?? absent;
        await held.get(chatId);
        return answer;
      },
      getState: async () => ({ kind: "state", state: "authorized", verdict: "works" }),
      openToken: () => "token",
      wakeAfter: () => undefined,
      othersWait: async () => othersWait,
      clock: performance,
      random: Math.random,
      settings: {
        sliceMs: 60_000,
        maxInFlight: 50,
        oldestShare: 0,
        retry: { maxAttempts: 5, retryBaseMs: 0, retryMaxMs: 0 },
        probe: { probeBaseMs: 15_000, probeMaxMs: 600_000 },
        refresh: defaultRefreshPolicy,
      },
      events: noEvents,
    });
  };
  const workers = Array.from({ length: processes }, () => {
    const worker = createOne();
    const stopTasks = startTasks(worker.tasks, {
      random: Math.random,
      stopWithinMs: 5_000,
      onError: () => undefined,
    });
    return { worker, stopTasks };
  });
  const running = workers.flatMap(({ worker }) =>
    instanceIds.map(async (instanceId) => {
      while (!stopping.signal.aborted) await worker.run(instanceId, stopping.signal);
    }),
  );
  return {
    calls,
    held,
    answers,
    countLeases: () => leases,
    async stop() {
      if (stopping.signal.aborted) return;
      stopping.abort();
      await Promise.all(running);
      await Promise.all(workers.map(async ({ worker }) => worker.stop(0)));
      await Promise.all(workers.map(async ({ stopTasks }) => stopTasks()));
    },
  };
}
