import { findCarePause } from "../../domain/care/care-pause.ts";
import { drainMs } from "../../domain/pace/drain-time.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { Backlog } from "../../domain/views/instance-gauges.ts";
import { historyLength, type InstanceOverview } from "../../domain/views/instance-overview.ts";
import { createSharedReads } from "../../lib/reads/shared-reads.ts";
import { countBacklog } from "../../store/status/read-gauges.ts";
import { readOverview, readPace, type OverviewRow } from "../../store/status/read-overview.ts";
import type { Door } from "./door.ts";

/** Where all instances stand, as often as their watchers like to know. */
export interface Overview {
  /** Reads where they stand, or gives what was read within the last second. By id. */
  read(): Promise<readonly InstanceOverview[]>;
  /** Adds how fast they are called now to their histories. */
  sample(): Promise<void>;
}

const freshMs = 1_000;
const deadlineMs = 5_000;
/** Counting is slow where much is due: at most one part in ten of the time goes into it. */
const counting = { freshMs: 10_000, timeShare: 10, deadlineMs: 30_000 };

const now = () => performance.now();

export function createOverview({
  config,
  quick,
  lasting,
}: Pick<Door, "config" | "quick" | "lasting">): Overview {
  const shared = createSharedReads<readonly InstanceOverview[]>({
    timeShare: 1,
    toFreshMs: () => freshMs,
    maxKeys: 1,
    now,
  });
  const counts = createSharedReads<void>({
    timeShare: counting.timeShare,
    toFreshMs: () => counting.freshMs,
    maxKeys: 1,
    now,
  });
  let backlogs: ReadonlyMap<InstanceId, Backlog> | undefined;
  const histories = new Map<InstanceId, number[]>();

  async function count(): Promise<void> {
    const all = await countBacklog(lasting.pool, counting.deadlineMs);
    backlogs = new Map(all.map((backlog) => [backlog.instanceId, backlog]));
  }

  function toOverview({ waitMs, care, ...row }: OverviewRow): InstanceOverview {
    // An instance without a backlog is not among those that were counted.
    const backlog = backlogs && (backlogs.get(row.instanceId) ?? { due: 0, waiting: 0 });
    const facts = backlog && { ...row, waitMs, care, backlog: backlog.due + backlog.waiting };
    return {
      ...row,
      carePause: findCarePause(care, new Date()),
      backlog: backlog && { due: backlog.due, waiting: backlog.waiting },
      etaMs: facts && drainMs(facts, Date.now()),
      history: histories.get(row.instanceId) ?? [],
    };
  }

  return {
    read: () =>
      shared("all", async () => {
        // Nothing waits for the count: the next read has it.
        counts("all", count).catch(() => undefined);
        return (await readOverview(quick.pool, config.requestsPerSecond, deadlineMs)).map(toOverview);
      }),
    async sample() {
      const paces = new Map((await readPace(quick.pool)).map((row) => [row.instanceId, row.callsPerSecond]));
      // An instance that is not called any more gets zeros, until its whole history is of zeros.
      for (const id of new Set([...histories.keys(), ...paces.keys()])) {
        const history = [...(histories.get(id) ?? []), round(paces.get(id) ?? 0)].slice(-historyLength);
        if (history.every((calls) => calls === 0)) histories.delete(id);
        else histories.set(id, history);
      }
    },
  };
}

function round(callsPerSecond: number): number {
  return Math.round(callsPerSecond * 100) / 100;
}
