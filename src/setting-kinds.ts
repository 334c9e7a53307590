import { z } from "zod";
import { parseInstanceId, type InstanceId } from "./domain/instance-id.ts";
import { parseCron } from "./domain/resync/cron-pattern.ts";
import type { ResyncSchedule } from "./domain/resync/resync-schedule.ts";
import type { SettingParse } from "./domain/setting-parse.ts";
import { parseDurationMs } from "./lib/duration.ts";

/** A whole number within bounds; `unit` begins with a blank, as in ` of milliseconds`. */
export const wholeNumber = (min: number, max: number, unit = "") =>
  z.coerce
    .number(`a number${unit}`)
    .int(`a whole number${unit}`)
    .min(min, `at least ${min}`)
    .max(max, `at most ${max}`);

/** A duration in ms, with its default. */
export const milliseconds = (fallback: number, min = 1) =>
  wholeNumber(min, 2 ** 31 - 1, " of milliseconds").default(fallback);

const minKeptMs = 86_400_000;

/** How long something is kept, ms; undefined: for ever. No idempotency key, which lives for a day, must outlive its batch. */
export const kept = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text, context) => {
      if (text.trim().toLowerCase() === "forever") return undefined;
      const ms = readDurationMs(text);
      if (ms !== undefined && ms >= minKeptMs) return ms;
      context.addIssue({ code: "custom", message: "forever, or a duration of 1d at least, such as 90d" });
      return z.NEVER;
    });

/** Undefined: it is none. */
function readDurationMs(text: string): number | undefined {
  try {
    return parseDurationMs(text, "");
  } catch {
    return undefined;
  }
}

/** A URL with one of the protocols, such as `redis:`. */
export const url = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    error: `a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`,
  });

/**
 * A rate that no instance is allowed to exceed by mistake; a real one is 10 (provider contract, Budget). Below the
 * lower bound a run would end before its slot comes.
 */
export const rate = z.coerce.number("a number").min(0.1, "at least 0.1").max(10_000, "at most 10000");

/** Read by lib/duration.ts. */
export const duration = (atLeast: string, fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text, context) => {
      const ms = readDurationMs(text);
      if (ms !== undefined && ms >= parseDurationMs(atLeast, "")) return ms;
      context.addIssue({ code: "custom", message: `a duration of at least ${atLeast}, e.g. 7d or 12h` });
      return z.NEVER;
    });

/** How long a contact rests that is not asked for, ms; null: for ever. */
export const interval = z.string().transform((text, context) => {
  if (text.trim().toLowerCase() === "never") return null;
  const ms = readDurationMs(text);
  if (ms !== undefined && ms >= 3_600_000) return ms;
  context.addIssue({ code: "custom", message: "a duration of at least 1h, e.g. 7d or 12h, or never" });
  return z.NEVER;
});

/** A text that has a parser of its own. */
export const parsedBy = <Value>(parse: (text: string) => SettingParse<Value>) =>
  z.string().transform((text, context) => {
    const parsed = parse(text.trim());
    if (parsed.ok) return parsed.value;
    context.addIssue({ code: "custom", message: parsed.expected });
    return z.NEVER;
  });

/** A cron pattern; undefined: `off`. */
export const cronOrOff = (text: string): SettingParse<ResyncSchedule["cron"] | undefined> =>
  text.toLowerCase() === "off" ? { ok: true, value: undefined } : parseCron(text);

/** A path to put before others: it begins with a slash and ends without one. */
export const basePath = z
  .string()
  .transform((text) => text.trim().replace(/\/$/, ""))
  .refine((text) => text === "" || (text.length <= 100 && /^(?:\/[\w.~-]+)+$/.test(text)), {
    error: "a path such as /avatars",
  });

/** A share between 0 and 1. */
export const share = z.coerce.number("a number").min(0, "at least 0").max(1, "at most 1");

/** The id of a GREEN-API instance: digits. */
export const instanceId = z.string().transform((text, context) => {
  const id = parseInstanceId(text);
  if (id === undefined) context.addIssue({ code: "custom", message: "digits only" });
  return id as InstanceId;
});
