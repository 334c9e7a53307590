import { releaseLeadMs } from "../../domain/resync/decide-release.ts";
import type { Database } from "../postgres/database.ts";
import { findReleasableRuns, openTrickles, switchOff } from "./find-releasable-runs.ts";
import { releaseRefreshes } from "./release-refreshes.ts";
import {
  beginNights,
  findLastNightAt,
  openNight,
  prepareNight,
  readClock,
  type NightPreparation,
} from "./resync-nights.ts";

export interface ResyncLedgerSettings {
  /** The share of its calls that a resync may take of an instance that sets none, within the window and outside of it. */
  readonly share: number;
  readonly dayShare: number;
  /** Calls per second of instances that set none. */
  readonly requestsPerSecond: number;
}

/**
 * The ledger as the resync of a worker sees it.
 * @param prepare reads the source query and plans the night, where there is one to prepare
 */
export function createResyncLedger(
  { pool }: Pick<Database, "pool">,
  { requestsPerSecond, ...shares }: ResyncLedgerSettings,
  prepare: (now: Date, signal: AbortSignal) => Promise<NightPreparation>,
) {
  return {
    readClock: () => readClock(pool),
    findLastNightAt: () => findLastNightAt(pool),
    beginNights: (slotAt: Date, now: Date) => beginNights(pool, slotAt, now),
    openNight: (night: Parameters<typeof openNight>[1]) => openNight(pool, night),
    prepareNight: (now: Date, signal: AbortSignal) => prepareNight(pool, async () => prepare(now, signal)),
    openTrickles: (now: Date) => openTrickles(pool, now, shares.dayShare),
    switchOff: (now: Date) => switchOff(pool, now),
    findReleasableRuns: (until: Date) => findReleasableRuns(pool, until),
    release: (runId: number, now: Date, isInWindow: boolean) =>
      releaseRefreshes(pool, {
        runId,
        now,
        isInWindow,
        shares,
        defaultRate: requestsPerSecond,
        leadMs: releaseLeadMs,
      }),
  };
}
