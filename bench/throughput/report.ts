import { mark, type Table } from "../table.ts";
import type { ContenderName } from "./contender.ts";
import type { Round } from "./measure-contender.ts";

/** The mean of all rounds of one contender. */
export interface Result extends Round {
  readonly name: ContenderName;
  readonly title: string;
}

export const mostTimesFloor = 1.5;
export const mostRssMb = 200;

/** What the rows of ours have to be, in words, for those that are not. Empty: all met. */
export function listMisses(results: readonly Result[]): string[] {
  const find = (name: ContenderName) => results.find((result) => result.name === name);
  const floor = find("floor");
  const rivals = [find("bullmq"), find("graphile")].filter((rival) => rival !== undefined);
  return results
    .filter(isOurs)
    .flatMap((ours) => [
      ...(floor && ours.workerUs > mostTimesFloor * floor.workerUs
        ? [`${ours.title}: the worker takes more than ${mostTimesFloor} times the floor`]
        : []),
      ...rivals
        .filter((rival) => ours.allUs >= rival.allUs)
        .map((rival) => `${ours.title}: all processes take no less than those of ${rival.title}`),
      ...(ours.peakRssMb > mostRssMb ? [`${ours.title}: more than ${mostRssMb} MB`] : []),
    ]);
}

function isOurs({ name }: Result): boolean {
  return name === "redis" || name === "postgres";
}

export function toMean(rounds: readonly Round[]): Round {
  const mean = (key: keyof Round) => rounds.reduce((sum, round) => sum + round[key], 0) / rounds.length;
  return {
    contacts: mean("contacts"),
    perSecond: mean("perSecond"),
    workerUs: mean("workerUs"),
    postgresUs: mean("postgresUs"),
    redisUs: mean("redisUs"),
    allUs: mean("allUs"),
    peakRssMb: Math.max(...rounds.map((round) => round.peakRssMb)),
  };
}

export function toTable(results: readonly Result[]): Table {
  const floor = results.find(({ name }) => name === "floor");
  return {
    header: [
      "per contact",
      "worker µs",
      "× floor",
      "all processes µs",
      "× floor",
      "Postgres µs",
      "Redis µs",
      "contacts/s",
      "RSS MB",
      "target",
    ],
    rows: results.map((result) => {
      const toTimes = (key: "workerUs" | "allUs") =>
        floor === undefined ? "–" : (result[key] / floor[key]).toFixed(2);
      return [
        result.title,
        result.workerUs.toFixed(0),
        toTimes("workerUs"),
        result.allUs.toFixed(0),
        toTimes("allUs"),
        result.postgresUs.toFixed(0),
        result.redisUs.toFixed(0),
        result.perSecond.toFixed(0),
        result.peakRssMb.toFixed(0),
        toVerdict(result, results),
      ];
    }),
  };
}

function toVerdict(result: Result, results: readonly Result[]): string {
  if (!isOurs(result)) return mark(undefined);
  return mark(!listMisses(results).some((miss) => miss.startsWith(`${result.title}:`)));
}
