import { texts } from "./texts.ts";

/** Made at the first use: the first of them costs a browser 30 ms of a core and more, and the page asks for its data before. */
function lazily<Format>(make: () => Format): () => Format {
  let made: Format | undefined;
  return () => (made ??= make());
}

const { language } = texts;
const numbers = lazily(() => new Intl.NumberFormat(language));
const oneDigit = lazily(() => new Intl.NumberFormat(language, { maximumFractionDigits: 1 }));
const percents = lazily(
  () => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 }),
);
const finePercents = lazily(
  () => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 2 }),
);
const days = lazily(
  () => new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric" }),
);
const moments = lazily(
  () =>
    new Intl.DateTimeFormat(language, {
      day: "numeric",
      month: "short",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    }),
);
const clock = lazily(() => new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" }));
const relative = lazily(() => new Intl.RelativeTimeFormat(language, { numeric: "auto" }));

/** Makes what most pages use, while they wait for an answer. */
export function prepareFormats(): void {
  formatMoment(new Date(0).toISOString());
  formatRate(0);
}

export const formatNumber = (value: number) => numbers().format(value);
/** Calls per second: with a digit behind the point where it tells something. */
export const formatRate = (value: number) =>
  value >= 100 ? numbers().format(Math.round(value)) : oneDigit().format(value);
export const formatShare = (value: number) => percents().format(value);
export const formatFineShare = (value: number) => finePercents().format(value);
export const formatMoment = (iso: string) => moments().format(new Date(iso));
/** A moment of today, to the second: `14:03:27`. */
export const formatClock = (moment: string | number) => clock().format(new Date(moment));
export const formatDay = (iso: string) => days().format(new Date(iso));

const units = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
] as const;

/** `2 d 4 h`, `13 min`, `8 s`: as exact as is of use. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  const short = texts.durations;
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), short.day],
    [Math.floor((whole % 86_400) / 3_600), short.hour],
    [Math.floor((whole % 3_600) / 60), short.minute],
    [whole % 60, short.second],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return `0 ${short.second}`;
  // Seconds beside minutes matter only while there are few of them.
  const shown = parts.slice(first, first + (first >= 2 && whole >= 600 ? 1 : 2));
  return shown
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${formatNumber(count)}\u00a0${unit}`)
    .join(" ");
}

/** `3 minutes ago`, `in 2 hours`. */
export function formatRelative(iso: string, now = Date.now()): string {
  const seconds = (new Date(iso).getTime() - now) / 1000;
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size) return relative().format(Math.round(seconds / size), unit);
  }
  return relative().format(Math.round(seconds), "second");
}
