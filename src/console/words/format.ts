import { texts } from "./texts.ts";

const numbers = new Intl.NumberFormat(texts.language);
const oneDigit = new Intl.NumberFormat(texts.language, { maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(texts.language, { style: "percent", maximumFractionDigits: 0 });
const finePercents = new Intl.NumberFormat(texts.language, { style: "percent", maximumFractionDigits: 2 });
const days = new Intl.DateTimeFormat(texts.language, { day: "numeric", month: "short", year: "numeric" });
const moments = new Intl.DateTimeFormat(texts.language, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const clock = new Intl.DateTimeFormat(texts.language, { timeStyle: "medium", hourCycle: "h23" });
const relative = new Intl.RelativeTimeFormat(texts.language, { numeric: "auto" });

export const formatNumber = (value: number) => numbers.format(value);
/** Calls per second: with a digit behind the point where it tells something. */
export const formatRate = (value: number) =>
  value >= 100 ? numbers.format(Math.round(value)) : oneDigit.format(value);
export const formatShare = (value: number) => percents.format(value);
export const formatFineShare = (value: number) => finePercents.format(value);
export const formatMoment = (iso: string) => moments.format(new Date(iso));
/** A moment of today, to the second: `14:03:27`. */
export const formatClock = (moment: string | number) => clock.format(new Date(moment));
export const formatDay = (iso: string) => days.format(new Date(iso));

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
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  }
  return relative.format(Math.round(seconds), "second");
}
