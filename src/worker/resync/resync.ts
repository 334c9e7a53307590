import { releaseLeadMs } from "../../domain/resync/decide-release.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { findNight, nextNightAt, type ResyncSchedule } from "../../domain/resync/resync-schedule.ts";
import { findNightEnd, isInWindow } from "../../domain/resync/resync-window.ts";
import type { ResyncEnd, ResyncKind } from "../../domain/resync/resync-run.ts";
import type { BackgroundTask } from "../../lib/start-tasks.ts";

/** The part of the store that a resync lives on. Every function rejects when Postgres is away. */
export interface ResyncLedger {
  /** The clock that all processes share. */
  readClock(): Promise<Date>;
  findLastNightAt(): Promise<Date | undefined>;
  /** Nights count from this one on; it is not made up for itself. */
  beginNights(slotAt: Date, now: Date): Promise<void>;
  /** False: another process was quicker. */
  openNight(night: {
    readonly slotAt: Date;
    readonly lastNightAt: Date;
    readonly now: Date;
    readonly endsAt: Date | undefined;
  }): Promise<boolean>;
  /**
   * Runs the source query and plans the night that waits for it. Returns which; undefined: there is none, or another process is at
   * it.
   */
  prepareNight(now: Date, signal: AbortSignal): Promise<Date | undefined>;
  openTrickles(now: Date): Promise<void>;
  /** Ends the runs that no person has asked for. */
  switchOff(now: Date): Promise<void>;
  findReleasableRuns(until: Date): Promise<readonly number[]>;
  /** Undefined: another process has seen to it. */
  release(runId: number, now: Date, isInWindow: boolean): Promise<ReleasedContacts | undefined>;
}

export interface ReleasedContacts {
  readonly instanceId: InstanceId;
  readonly kind: ResyncKind;
  readonly released: number;
  readonly endedBy: ResyncEnd | undefined;
}

export interface ResyncEvents {
  nightOpened(fields: { slotAt: Date; endsAt: Date | undefined }): void;
  nightPrepared(fields: { slotAt: Date }): void;
  resyncEnded(fields: { instanceId: InstanceId; kind: ResyncKind; endedBy: ResyncEnd }): void;
  ledgerFailed(fields: { where: string }, error: unknown): void;
}

export interface ResyncPorts {
  readonly ledger: ResyncLedger;
  /** Undefined: there are no nights, and what is due by policy is asked only on request. */
  readonly schedule: ResyncSchedule | undefined;
  readonly wakeInstances: (ids: readonly InstanceId[]) => Promise<void>;
  readonly events: ResyncEvents;
}

/** The resync of all instances, as one process sees it: the work to be done is in Postgres, and any process may do it. */
export interface Resync {
  /** Opens the night that has come, if it is not open yet. */
  openNight(): Promise<void>;
  /** @param signal ends it early: another process, or this one when it starts again, goes on with the night */
  prepareNight(signal: AbortSignal): Promise<void>;
  /** Opens what is due between nights; where there are no nights, ends what is open. */
  openTrickles(): Promise<void>;
  /** Makes contacts due for each run that may have more of them. */
  release(): Promise<void>;
}

/** Runs that one process sees to at the same time. */
const releasedAtOnce = 2;

export function createResync({ ledger, schedule, wakeInstances, events }: ResyncPorts): Resync {
  /** No night comes before this moment: none had to be opened when we looked, and the next one is then. */
  let nextNight = new Date(0);

  return {
    async openNight() {
      if (schedule === undefined) return;
      const now = await ledger.readClock();
      if (now < nextNight) return;
      const lastNightAt = await ledger.findLastNightAt();
      if (lastNightAt === undefined) {
        const slotAt = findNight(schedule, new Date(0), now);
        return slotAt && ledger.beginNights(slotAt, now);
      }
      const slotAt = findNight(schedule, lastNightAt, now);
      if (slotAt === undefined) {
        nextNight = nextNightAt(schedule, now);
        return;
      }
      const endsAt = findNightEnd(schedule, now);
      if (await ledger.openNight({ slotAt, lastNightAt, now, endsAt }))
        events.nightOpened({ slotAt, endsAt });
    },
    async prepareNight(signal) {
      if (schedule === undefined) return;
      const slotAt = await ledger.prepareNight(await ledger.readClock(), signal);
      if (slotAt) events.nightPrepared({ slotAt });
    },
    async openTrickles() {
      const now = await ledger.readClock();
      if (schedule === undefined) await ledger.switchOff(now);
      else await ledger.openTrickles(now);
    },
    async release() {
      const now = await ledger.readClock();
      const isNight = schedule !== undefined && isInWindow(schedule, now);
      const runs = [...(await ledger.findReleasableRuns(new Date(now.getTime() + releaseLeadMs)))];
      const seeToNext = async (): Promise<void> => {
        for (let runId = runs.shift(); runId !== undefined; runId = runs.shift()) {
          const done = await ledger.release(runId, now, isNight).catch((error: unknown) => {
            // Trouble of one instance must not stop the others: its run is looked at again with the next tick.
            events.ledgerFailed({ where: "release refreshes" }, error);
          });
          if (done === undefined) continue;
          const { instanceId, kind, endedBy } = done;
          if (done.released > 0) await wakeInstances([instanceId]);
          if (endedBy !== undefined) events.resyncEnded({ instanceId, kind, endedBy });
        }
      };
      await Promise.all(Array.from({ length: releasedAtOnce }, seeToNext));
    },
  };
}

const tickMs = 2_000;
const trickleMs = 30_000;

/** The tasks that keep a resync going. Each process has its own timers, since what the tasks do is harmless to do twice. */
export function listResyncTasks(resync: Resync): BackgroundTask[] {
  return [
    { name: "open night", everyMs: tickMs, run: resync.openNight },
    { name: "prepare night", everyMs: tickMs, run: resync.prepareNight },
    { name: "open trickles", everyMs: trickleMs, run: resync.openTrickles },
    { name: "release refreshes", everyMs: tickMs, run: resync.release },
  ];
}
