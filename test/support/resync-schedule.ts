import { parseCron } from "../../src/domain/resync/cron-pattern.ts";
import { parseWindow } from "../../src/domain/daily-window.ts";
import type { ResyncSchedule } from "../../src/domain/resync/resync-schedule.ts";
import { parseTimeZone } from "../../src/domain/time-zone.ts";
import type { SettingParse } from "../../src/domain/setting-parse.ts";

/** A schedule as the three settings would give it. @throws Error for a text that they would refuse */
export function toResyncSchedule(cron: string, timeZone: string, window: string): ResyncSchedule {
  return {
    cron: getParsed(parseCron(cron)),
    timeZone: getParsed(parseTimeZone(timeZone)),
    window: getParsed(parseWindow(window)),
  };
}

function getParsed<Value>(parsed: SettingParse<Value>): Value {
  if (!parsed.ok) throw new Error(`expected ${parsed.expected}`);
  return parsed.value;
}
