import { parseWindow } from "../daily-window.ts";
import type { SettingParse } from "../setting-parse.ts";
import { minuteMs, parseTimeZone } from "../time-zone.ts";

/** Hours of each local day in which no call is sent: minutes since midnight. They pass midnight where `from` is beyond `until`. */
export interface QuietHours {
  /** 0 to 1439, and part of it. */
  readonly from: number;
  /** 1 to 1440, and no part of it. */
  readonly until: number;
}

/** How an instance is called with care, for fear for its number. */
export interface Care {
  /** Calls of getAvatar in each day of the time zone; undefined: no cap. */
  readonly callsPerDay: number | undefined;
  readonly quiet: QuietHours | undefined;
  /** A person's asks for single contacts are called for in quiet hours, too. The cap holds for them as well. */
  readonly quietInteractive: boolean;
  /** The name of the zone whose days and hours are meant. */
  readonly timeZone: string;
}

/** An instance's care, and what of the cap is used up. */
export interface CareFacts extends Care {
  /** Calls that count for the present day, with those that a holder of the lease may still make of them; 0 without a cap. */
  readonly callsToday: number;
}

/** A cap of more calls a day than any rate gives. */
export const mostCallsPerDay = 1_000_000_000;

/** Reads `22:00-07:00` or `12:30-14:00`. */
export function parseQuietHours(text: string): SettingParse<QuietHours> {
  const expected = "two different local times, e.g. 22:00-07:00; avatars instance pause stops all calls";
  const window = parseWindow(text);
  if (!window.ok || window.value.kind === "all-day") return { ok: false, expected };
  const { fromMs, untilMs } = window.value;
  const until = untilMs / minuteMs;
  return { ok: true, value: { from: fromMs / minuteMs, until: until > 1_440 ? until - 1_440 : until } };
}

/** `22:00-07:00` */
export function formatQuietHours({ from, until }: QuietHours): string {
  return `${formatMinute(from)}-${formatMinute(until)}`;
}

function formatMinute(minute: number): string {
  const [hours, minutes] = [Math.floor(minute / 60), minute % 60];
  return `${String(hours).padStart(2, "0")}:${String(minutes).padStart(2, "0")}`;
}

/**
 * Reads the name of a zone that means the same to Node.js and to Postgres, which reckons with it, too: `UTC`, or one with a slash.
 * Postgres takes `CET` for an abbreviation, without summer time, and `+02:00` for two hours west.
 */
export function parseCareZone(text: string): SettingParse<string> {
  const zone = parseTimeZone(text);
  if (!zone.ok) return zone;
  const { name } = zone.value;
  if (name === "UTC" || /^[A-Za-z]+\/[A-Za-z]/.test(name)) return { ok: true, value: name };
  return { ok: false, expected: "the name of a time zone with its region, e.g. Europe/Berlin, or UTC" };
}
