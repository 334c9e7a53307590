import type pg from "pg";
import { setTimeout as sleep } from "node:timers/promises";
import { readCpuMs } from "../machine.ts";
import { withCloser } from "../run-bench.ts";
import { byInstance, countDoubled, countOverBudget, toChat, type Calls } from "./calls.ts";
import { openStage, readNowMs, requestsPerSecond, type StageOptions } from "./stage.ts";

/** One of two workers dies without a word, and the other one does the rest of all contacts. */
export interface KillFigures {
  /** Instances that were not called for a while afterwards. */
  readonly waited: number;
  /** From the kill until the last of the instances was called again. */
  readonly calledAgainSeconds: number;
  /** Contacts without a final answer when all work was done. */
  readonly lost: number;
  readonly doubled: number;
  /** Calls that hung up with the process. */
  readonly hungUp: number;
  /** Contacts that had been called and whose answer was not in their row yet: those may be called again. */
  readonly unsaved: number;
  readonly overBudget: number;
}

const restSeconds = 25;
/** A call that was on its way already arrives within this. */
const onTheWayMs = 20;
/** Some answers take a second and a half. */
const waitedMs = 1_000;
const drainSeconds = 120;
const cpuWindowMs = 3_000;

export async function measureKill(options: StageOptions): Promise<KillFigures> {
  return withCloser(async (closer) => {
    const { simulator, scene, workers, wait } = await openStage(options, closer, restSeconds);
    const victim = await findBusiest(workers, cpuWindowMs);
    const survivors = workers.filter((worker) => worker !== victim);
    // Its death is seen some time after it.
    const killedMs = readNowMs();
    await victim?.kill();
    const unsaved = await readUnsaved(scene.client);
    let left = Infinity;
    for (let seconds = 0; seconds < restSeconds + drainSeconds && left > 0; seconds += 1) {
      await wait(1, survivors);
      left = (await readUnsaved(scene.client)).size;
    }
    const calls = await simulator.readCalls();
    const calledBefore = new Set(calls.filter(({ at }) => at <= killedMs + onTheWayMs).map(toChat));
    const gaps = findGaps(calls, killedMs);
    return {
      waited: gaps.filter((gap) => gap > waitedMs).length,
      calledAgainSeconds: Math.max(...gaps) / 1000,
      lost: left,
      doubled: countDoubled(calls),
      hungUp: calls.filter(({ status, at }) => status === 499 && at <= killedMs + onTheWayMs).length,
      unsaved: [...unsaved].filter((chat) => calledBefore.has(chat)).length,
      overBudget: countOverBudget(calls, requestsPerSecond),
    };
  });
}

/** It holds most of the instances. */
async function findBusiest<Worker extends { readonly pid: number }>(
  workers: readonly Worker[],
  windowMs: number,
): Promise<Worker | undefined> {
  const before = workers.map(({ pid }) => readCpuMs(pid));
  await sleep(windowMs);
  const spent = workers.map(({ pid }, index) => readCpuMs(pid) - (before[index] ?? 0));
  return workers[spent.indexOf(Math.max(...spent))];
}

async function readUnsaved(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ instanceId: string; chatId: string }>(
    `select instance_id as "instanceId", chat_id as "chatId" from avatars.contacts where checked_at is null`,
  );
  return new Set(rows.map(toChat));
}

/** For each instance, ms from the moment until its next call. */
function findGaps(calls: Calls, fromMs: number): number[] {
  return [...byInstance(calls).values()].map((of) => {
    const next = of.find(({ at }) => at > fromMs + onTheWayMs);
    return next === undefined ? Infinity : next.at - fromMs;
  });
}
