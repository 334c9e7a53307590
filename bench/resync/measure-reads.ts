import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { QueuedContact } from "../../src/domain/ledger/due-queue.ts";
import { releaseLeadMs } from "../../src/domain/resync/decide-release.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { startEvery } from "../../src/lib/start-every.ts";
import { isTransient } from "../../src/store/postgres/database.ts";
import { findDueInstances } from "../../src/store/work/find-due-instances.ts";
import { findReleasableRuns } from "../../src/store/resync/find-releasable-runs.ts";
import { countBacklog, readGauges } from "../../src/store/status/read-gauges.ts";
import { releaseRefreshes, type Release } from "../../src/store/resync/release-refreshes.ts";
import { readClock } from "../../src/store/resync/resync-nights.ts";
import { writeActivity } from "../../src/store/status/worker-activity.ts";
import { createSaveBuffer } from "../../src/worker/run/save-buffer.ts";
import type { Bench } from "../run-bench.ts";
import { createSamples, type Samples, type Summary } from "./samples.ts";
import type { Stage } from "./stage.ts";

/** What instance runs do: they read as much as can be called in this time, and again when it is over. */
const windowMs = 600;
const readLimit = 6;
/** What an answer takes. */
const answerMs = 80;
const noiseIntervalMs = 10;

export interface ReadFigures {
  readonly name: string;
  readonly seconds: number;
  readonly reads: Summary;
  readonly found: number;
  /** The same loop with `select 1`, at the same time. */
  readonly noise: Summary;
  readonly saves: Summary;
  readonly saved: number;
  /** Undefined: there were none. */
  readonly releases: Summary | undefined;
}

/** Reads one after the other, and nothing beside; what they have found is answered afterwards. */
export async function measureReadsAlone(stage: Stage, count: number): Promise<ReadFigures> {
  const { ledger, instanceIds, database } = stage;
  const [reads, noise, saves] = [createSamples(), createSamples(), createSamples()];
  const contacts: QueuedContact[] = [];
  const startedMs = performance.now();
  for (let n = 0; n < count; n += 1) {
    const instanceId = instanceIds[Math.floor(Math.random() * instanceIds.length)]!;
    contacts.push(...(await readOnce(stage, instanceId, reads)));
    await noise.time(() => database.pool.query("select 1"));
  }
  const seconds = (performance.now() - startedMs) / 1000;
  for (let at = 0; at < contacts.length; at += 200) {
    const records = stage.answer(contacts.slice(at, at + 200), Date.now());
    await saves.time(() => ledger.saveLookups(records));
  }
  const found = contacts.length;
  return {
    name: "alone, one after the other",
    seconds,
    reads: reads.summarize(),
    found,
    noise: noise.summarize(),
    saves: saves.summarize(),
    saved: found,
    releases: undefined,
  };
}

async function readOnce(
  stage: Stage,
  instanceId: InstanceId,
  reads: Samples,
): Promise<readonly QueuedContact[]> {
  return reads.time(() => stage.readDue(instanceId, readLimit));
}

export interface Load {
  readonly name: string;
  /** Of the rate of each instance. */
  readonly share: number;
  readonly seconds: number;
}

/** All instances read side by side at their pace; answers, releases, sweep, gauges and activity go on beside them. */
export async function measureReads(stage: Stage, load: Load, bench: Bench): Promise<ReadFigures> {
  const { instanceIds, ledger, database } = stage;
  const samples = {
    reads: createSamples(),
    noise: createSamples(),
    saves: createSamples(),
    releases: createSamples(),
  };
  let found = 0;
  let saved = 0;
  const failures: unknown[] = [];
  const fail = (error: unknown) => void failures.push(error);
  const buffer = createSaveBuffer({
    ledger: { saveLookups: (records) => samples.saves.time(() => ledger.saveLookups(records)) },
    isTransient,
    settled: () => undefined,
    events: {
      saved: (records) => void (saved += records.length),
      savesSetAside: () => undefined,
      saveDelayed: (_fields, error) => fail(error),
      saveRefused: (_record, error) => fail(error),
    },
  });
  const stopping = new AbortController();
  const signal = AbortSignal.any([stopping.signal, bench.signal]);
  // One for each instance.
  setMaxListeners(0, signal);
  const pauseMs = windowMs / load.share;
  const runInstance = async (instanceId: InstanceId) => {
    // Not all at once.
    for (
      let waitMs = Math.random() * pauseMs;
      !signal.aborted;
      waitMs = pauseMs * (0.9 + 0.2 * Math.random())
    ) {
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const contacts = await readOnce(stage, instanceId, samples.reads);
      found += contacts.length;
      setTimeout(() => stage.answer(contacts, Date.now()).forEach(buffer.add), answerMs);
    }
  };
  const runNoise = async () => {
    while (!signal.aborted) {
      await samples.noise.time(() => database.pool.query("select 1"));
      await sleep(noiseIntervalMs);
    }
  };
  const stops = startBeside(stage, load, samples.releases, fail);
  const running = Promise.all([...instanceIds.map(runInstance), runNoise()]);
  await sleep(load.seconds * 1000, undefined, { signal: bench.signal });
  stopping.abort();
  await Promise.all([running, ...stops.map((stop) => stop())]);
  await sleep(answerMs);
  await buffer.drain(AbortSignal.timeout(10_000));
  if (failures.length > 0) throw failures[0];
  return {
    name: load.name,
    seconds: load.seconds,
    reads: samples.reads.summarize(),
    found,
    noise: samples.noise.summarize(),
    saves: samples.saves.summarize(),
    saved,
    releases: samples.releases.summarize(),
  };
}

/** What else workers do, and what a scrape reads, as often as they do. Returns the functions that stop it. */
function startBeside(
  { database: { pool }, base, instanceIds, processId }: Stage,
  { share }: Load,
  releases: Samples,
  onError: (error: unknown) => void,
): (() => Promise<void>)[] {
  const { requestsPerSecond } = base.config;
  const every = (intervalMs: number, run: () => Promise<unknown>) =>
    startEvery({ run, intervalMs, random: Math.random, onError });
  const activity = instanceIds.map((instanceId) => ({
    instanceId,
    inFlight: 1,
    callsPerSecond: requestsPerSecond * share,
    recentCalls: 6_000 * share,
    recentThrottled: 0,
    latencyMs: answerMs,
  }));
  return [
    every(2_000, async () => {
      const now = await readClock(pool);
      const runs = await findReleasableRuns(pool, new Date(now.getTime() + releaseLeadMs));
      const seeToNext = async () => {
        for (let id = runs.shift(); id !== undefined; id = runs.shift()) {
          const runId = id;
          await releases.time(() => releaseOnce({ base, pool }, runId, now, share));
        }
      };
      await Promise.all([seeToNext(), seeToNext()]);
    }),
    every(5_000, () => findDueInstances(pool)),
    every(5_000, () => readGauges(pool, requestsPerSecond, 5_000)),
    every(15_000, () => countBacklog(pool, 55_000)),
    every(2_000, () => writeActivity(pool, processId, activity)),
  ];
}

export async function releaseOnce(
  { base, pool }: { readonly base: Stage["base"]; readonly pool: Stage["database"]["pool"] },
  runId: number,
  now: Date,
  share: number,
  requestsPerSecond = base.config.requestsPerSecond,
): Promise<Release | undefined> {
  return releaseRefreshes(pool, {
    runId,
    now,
    isInWindow: true,
    shares: { share, dayShare: share },
    defaultRate: requestsPerSecond,
    leadMs: releaseLeadMs,
  });
}
