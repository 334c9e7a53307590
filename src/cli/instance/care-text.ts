import { toZone } from "../../domain/care/care-clock.ts";
import type { CarePause } from "../../domain/care/care-pause.ts";
import type { CareView } from "../../domain/care/care-view.ts";
import { dayMs, readClock } from "../../domain/time-zone.ts";

/** `5,000` or `5,000 (1,200 today)` */
export function describeCap({ callsPerDay, callsToday }: CareView): string {
  if (callsPerDay === undefined) return "(no cap)";
  const today = callsToday === undefined || callsToday === 0 ? "" : ` (${formatCount(callsToday)} today)`;
  return `${formatCount(callsPerDay)}${today}`;
}

/** `22:00-07:00, but for single contacts` */
export function describeQuietHours({ quietHours, quietInteractive }: CareView): string {
  if (quietHours === undefined) return "(none)";
  return quietInteractive ? `${quietHours}, but for single contacts` : quietHours;
}

/** `quiet until 07:00 Europe/Berlin`, `cap reached: 5,000 of 5,000 today, goes on at 00:00 UTC` */
export function describeCarePause({ reason, until }: CarePause, care: CareView): string {
  const at = formatClock(until, care.timeZone ?? "UTC");
  if (reason === "quiet") return `quiet until ${at}`;
  const { callsToday = 0, callsPerDay = 0 } = care;
  return `cap reached: ${formatCount(callsToday)} of ${formatCount(callsPerDay)} today, goes on at ${at}`;
}

/** What the clock of the zone shows then: with its date where the time alone would mean an earlier moment. */
function formatClock(at: Date, timeZone: string): string {
  const shown = new Date(readClock(toZone({ timeZone }), at.getTime())).toISOString();
  const [date, time = ""] = shown.split("T");
  const isFar = at.getTime() - Date.now() > dayMs;
  return `${isFar ? `${date} ` : ""}${time.slice(0, 5)} ${timeZone}`;
}

function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}
