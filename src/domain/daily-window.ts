import { dayMs, minuteMs } from "./time-zone.ts";
import type { SettingParse } from "./setting-parse.ts";

/** A part of each local day; `from` and `until` in ms since midnight. It passes midnight if `until` is beyond 24 h. */
export type DailyWindow =
  | { readonly kind: "all-day" }
  | { readonly kind: "hours"; readonly fromMs: number; readonly untilMs: number };

const allDay: DailyWindow = { kind: "all-day" };

/** Reads `02:00-06:00`, `22:00-04:00`, `20:00-24:00`, or `all-day`. */
export function parseWindow(text: string): SettingParse<DailyWindow> {
  const compact = text.trim().toLowerCase();
  if (compact === "all-day") return { ok: true, value: allDay };
  const [, from, until] = /^(\d\d:\d\d)\s*-\s*(\d\d:\d\d)$/.exec(compact) ?? [];
  const fromMs = toMsOfDay(from);
  const untilMs = toMsOfDay(until);
  if (fromMs === undefined || untilMs === undefined || fromMs === dayMs) {
    const expected = "two local times, e.g. 02:00-06:00 or 22:00-04:00, or all-day";
    return { ok: false, expected };
  }
  if (fromMs === untilMs) return { ok: false, expected: "two different local times, or all-day" };
  if (untilMs - fromMs === dayMs) return { ok: true, value: allDay };
  return {
    ok: true,
    value: { kind: "hours", fromMs, untilMs: untilMs > fromMs ? untilMs : untilMs + dayMs },
  };
}

function toMsOfDay(text: string | undefined): number | undefined {
  const [hours = Number.NaN, minutes = Number.NaN] = text?.split(":").map(Number) ?? [];
  const ms = (hours * 60 + minutes) * minuteMs;
  return minutes <= 59 && ms <= dayMs ? ms : undefined;
}
