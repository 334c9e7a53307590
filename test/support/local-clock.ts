const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** The minutes of some days as the clock of a zone shows them, told by Intl and by nothing of ours. */
export interface LocalMinutes {
  readonly startMs: number;
  readonly endMs: number;
  /** All dates that show, as `2024-03-31`, but for the first and the last, which may be cut off. */
  readonly dates: readonly string[];
  /** The first minute that shows `label` or later, as `2024-03-31 02:30`. */
  readonly findFirst: (label: string) => number;
  readonly showsAt: (atMs: number) => string;
}

function createFormat(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" });
}

/** The days, each in UTC, in which the clock is changed. */
export function findClockChanges(timeZone: string, fromMs: number, untilMs: number): number[] {
  const format = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
  const offset = (atMs: number) => format.format(atMs).split(", ")[1];
  const days: number[] = [];
  for (let day = fromMs; day < untilMs; day += dayMs) {
    if (offset(day) !== offset(day + dayMs)) days.push(day);
  }
  return days;
}

/** Walks minute by minute. */
export function walkMinutes(timeZone: string, startMs: number, endMs: number): LocalMinutes {
  const format = createFormat(timeZone);
  const first = new Map<string, number>();
  const labels: string[] = [];
  for (let at = startMs; at < endMs; at += minuteMs) {
    const label = format.format(at);
    labels.push(label);
    if (!first.has(label)) first.set(label, at);
  }
  const sorted = [...first.keys()].sort();
  return {
    startMs,
    endMs,
    dates: [...new Set(sorted.map((label) => label.slice(0, 10)))].slice(1, -1),
    findFirst: (label) => {
      const next = first.get(label) ?? first.get(sorted.find((other) => other >= label) ?? "");
      if (next === undefined) throw new Error(`no ${label} in these days`);
      return next;
    },
    showsAt: (atMs) => labels[Math.floor((atMs - startMs) / minuteMs)] ?? "",
  };
}
