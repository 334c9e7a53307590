import { mark, type Table } from "../table.ts";
import type { KillFigures } from "./kill.ts";
import { redisFaults, type RedisFaultFigures } from "./redis-faults.ts";
import type { StormFigures } from "./storm.ts";

/** What was measured; undefined or missing: what was not asked for. */
export interface RecoveryFigures {
  readonly storm?: StormFigures;
  readonly kill?: KillFigures;
  readonly redis: readonly RedisFaultFigures[];
}

const mostRecoverySeconds = 10;
export const mostTakeOverSeconds = 8;

function isStormMet({ recoveredSeconds = Infinity }: StormFigures): boolean {
  return recoveredSeconds <= mostRecoverySeconds;
}

function isKillMet({ calledAgainSeconds, lost, doubled, unsaved }: KillFigures): boolean {
  return calledAgainSeconds <= mostTakeOverSeconds && lost === 0 && doubled <= unsaved;
}

function isRedisMet({ overBudget, refused }: RedisFaultFigures): boolean {
  return overBudget === 0 && refused === 0;
}

export function isAllMet({ storm, kill, redis }: RecoveryFigures): boolean {
  return (!storm || isStormMet(storm)) && (!kill || isKillMet(kill)) && redis.every(isRedisMet);
}

function toPercent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** One for each kind of fault. */
export function toTables({ storm, kill, redis }: RecoveryFigures): Table[] {
  return [
    ...(storm ? [toStormTable(storm)] : []),
    ...(kill ? [toKillTable(kill)] : []),
    ...(redis.length > 0 ? [toRedisTable(redis)] : []),
  ];
}

function toStormTable(storm: StormFigures): Table {
  return {
    header: [
      "a storm of 429",
      "calls meanwhile",
      "at 90 % of the rate after",
      "refused after it",
      "over budget after it",
      "budget used at the end",
      `target: ≤ ${mostRecoverySeconds} s`,
    ],
    rows: [
      [
        "4 s",
        String(storm.inStorm),
        storm.recoveredSeconds === undefined ? "never" : `${storm.recoveredSeconds.toFixed(1)} s`,
        String(storm.refusedAfter),
        String(storm.overAfter),
        toPercent(storm.shareAtEnd),
        mark(isStormMet(storm)),
      ],
    ],
  };
}

function toKillTable(kill: KillFigures): Table {
  return {
    header: [
      "a worker killed",
      "instances that waited",
      "all called again after",
      "lost",
      "called twice",
      "in flight",
      "called, not saved",
      "over budget",
      `target: ≤ ${mostTakeOverSeconds} s, 0 lost`,
    ],
    rows: [
      [
        "one of two",
        String(kill.waited),
        `${kill.calledAgainSeconds.toFixed(1)} s`,
        String(kill.lost),
        String(kill.doubled),
        String(kill.hungUp),
        String(kill.unsaved),
        String(kill.overBudget),
        mark(isKillMet(kill)),
      ],
    ],
  };
}

const faultWords = { silent: "silent (SIGSTOP), 20 s", flushed: "flushed", away: "away, 20 s" } as const;

function toRedisTable(rows: readonly RedisFaultFigures[]): Table {
  return {
    header: [
      "Redis",
      "calls",
      "over budget",
      "429s",
      "budget used, first 20 s",
      "25 s after",
      "simulator lag p99",
      "target: 0 over",
    ],
    rows: redisFaults
      .flatMap((fault) => rows.filter((row) => row.fault === fault))
      .map((row) => [
        faultWords[row.fault],
        String(row.calls),
        String(row.overBudget),
        String(row.refused),
        toPercent(row.shareMeanwhile),
        toPercent(row.shareAfter),
        `${row.lagP99Ms.toFixed(1)} ms`,
        mark(isRedisMet(row)),
      ]),
  };
}
