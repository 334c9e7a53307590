import { z } from "zod";
import { parseInstanceId, type InstanceId } from "../../domain/instance-id.ts";
import { hasAtMost, intakeBounds } from "../../domain/intake-bounds.ts";
import { parseDurationMs } from "../../lib/duration.ts";
import { toPlainMoment } from "../../lib/plain-moment.ts";

/** A date, also one that is none: one row must never keep the others of its list from being told. */
const anyDate = z
  .custom<Date>((value) => value instanceof Date)
  .meta({ type: "string", format: "date-time" });

/** A moment: ISO 8601 in UTC on the wire, of the years 1 to 9999. What lies beyond is told as the first or the last of them. */
export const moment = z.codec(z.iso.datetime(), anyDate, {
  decode: (text) => new Date(text),
  encode: (date) => toPlainMoment(date).toISOString(),
});

/** A value that has its place in the answer also where there is none. */
export function orNull<Value>(value: Value | undefined): Value | null {
  return value ?? null;
}

export const instanceIdInput = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform((text, context) => {
    const id = parseInstanceId(text);
    if (id === undefined) context.addIssue({ code: "custom", message: "Expected 1 to 20 digits" });
    return id as InstanceId;
  })
  .meta({ description: "GREEN-API's `idInstance`: digits.", examples: ["1101000001"] });

export const instanceIdOutput = z
  .string()
  .meta({ description: "GREEN-API's `idInstance`.", examples: ["1101000001"] });

/**
 * Text that Postgres can store: no NUL, no half of a surrogate pair.
 * @param maxLength in characters, as Postgres and JSON Schema count them
 */
export const storableText = (maxLength: number) =>
  z
    .string()
    .refine((text) => hasAtMost(text, maxLength), { error: `Expected up to ${maxLength} characters` })
    .refine((text) => !text.includes("\0") && text.isWellFormed(), {
      error: "Expected text without NUL and broken characters",
    })
    .meta({ maxLength });

/**
 * An http or https URL. Its length is judged first: the time to read a host beyond ASCII grows with the square of its length.
 */
export const httpUrl = z
  .string()
  .max(2000, { abort: true })
  .check(z.url({ protocol: /^https?$/ }));

/** The chat id as the path gives it, for the parser of the intake. */
export const chatIdInput = z
  .string()
  .min(1)
  .max(200)
  .meta({
    description: "A chat id in any usual spelling, or a phone number with its country code.",
    examples: ["79001234567@c.us"],
  });

export const contactIdOutput = z.string().meta({
  description:
    "The contact's own id, for as long as it is not erased, as in webhooks. It tells nothing of the number.",
  examples: ["1093"],
});

export const chatIdOutput = z
  .string()
  .meta({ description: "The chat id in its canonical form.", examples: ["79001234567@c.us"] });

export const externalRefOutput = z.string().nullable().meta({ description: "Your own id for the contact." });

const maxAgeDescription =
  "An answer younger than this is fresh enough and costs no call: seconds, or text like `7d`, `12h`, `0`. Default: 7 days.";

const maxAgeText = z
  .string()
  .max(20)
  .regex(/^\s*\d+(\.\d+)?(\s*(ms|s|m|h|d|w))?\s*$/i)
  .transform((text, context) => toMs(text, context));

/** Milliseconds, of seconds or of a text. */
export const maxAgeInput = z
  .union([
    z
      .number()
      .min(0)
      .max(intakeBounds.maxAgeMs / 1000)
      .transform((seconds) => seconds * 1000),
    maxAgeText,
  ])
  .meta({ description: maxAgeDescription });

/** The age in a query, where all is text. */
export const maxAgeQuery = maxAgeText.meta({ description: `Streams only. ${maxAgeDescription}` });

/** Milliseconds of a duration in words; a fault where it is none. */
export function toMs(text: string, context: z.core.$RefinementCtx): number {
  try {
    return parseDurationMs(text, "duration");
  } catch {
    context.addIssue({ code: "custom", message: "Expected a duration such as 7d, 12h, 30m or 0" });
    return z.NEVER;
  }
}

export const priorityInput = z
  .int()
  .min(0)
  .max(2)
  .meta({ description: "0 interactive, 1 import, 2 resync. Default: 1." });

/** A moment as a query has it: ISO 8601, of any zone. */
export const momentQuery = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

/** `true` and `false` as a query has them. */
export const flagQuery = z.enum(["true", "false"]).transform((text) => text === "true");

const maxPage = 1000;

export const pageQuery = z.strictObject({
  cursor: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .meta({ description: "The `next` of the page before. Default: from the beginning." }),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(maxPage)
    .default(100)
    .meta({ description: `Items at most, up to ${maxPage}.` }),
});

export const nextCursor = z.string().nullable().meta({
  description:
    "Where the next page begins; null: this was the last one. A page may be short, or empty, and not be the last.",
});

/** Several values of one parameter: repeated, or separated by commas. */
export function listQuery<const Values extends readonly [string, ...string[]]>(values: Values) {
  const text = z.union([z.string().max(1000), z.array(z.string().max(1000)).max(50)]);
  return text
    .transform((given) =>
      // One that is given twice is meant once: for each there is work.
      Array.from(
        new Set(
          [given]
            .flat()
            .flatMap((part) => part.split(","))
            .map((part) => part.trim()),
        ),
      ),
    )
    .pipe(z.array(z.enum(values)).min(1))
    .meta({ description: `Only these: ${values.join(", ")}; several are separated by commas.` });
}
