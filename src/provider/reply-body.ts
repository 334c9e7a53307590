import { z } from "zod";
import { findJsonExcess } from "../lib/json/find-json-excess.ts";

/** A body, whatever it was, as far as `classify` needs to know it. */
export interface ReplyBody {
  /** The JSON object that the provider answers with; undefined for any other body. */
  readonly fields: ReplyFields | undefined;
  /** What it says in words: a plain text, or the messages of a JSON. None for HTML and for broken JSON. */
  readonly texts: readonly string[];
  /** The body as received. */
  readonly raw: string;
}

const blank = z
  .string()
  .trim()
  .regex(/^(?:undefined|null)?$/i)
  .transform(() => null);
const flag = z.union([z.boolean(), z.stringbool({ truthy: ["true"], falsy: ["false"] })]);
/** Stands in for a value that the API was never seen to send there. */
const garbled = z.unknown().transform(() => "garbled" as const);
/** Each of these keys was seen to carry a status inside an HTTP 200. */
const code = z.union([z.number(), z.boolean(), z.string(), garbled]).nullish();

/** The answers of 2020 to 2026 and the errors, in one. Every key may be missing, and others may come along. */
const fieldsSchema = z.looseObject({
  /** null where it is empty in one of the API's ways, undefined where the key is missing. */
  urlAvatar: z.union([z.null(), blank, z.string().trim(), garbled]).optional(),
  available: z.union([flag, garbled]).nullish(),
  base64Avatar: z.union([z.null(), blank, z.string().trim(), garbled]).optional(),
  statusCode: code,
  code,
  status: code,
});

export type ReplyFields = z.infer<typeof fieldsSchema>;

/** Never throws, whatever `raw` is. */
export function parseReplyBody(raw: string): ReplyBody {
  const text = raw.replace(/^\uFEFF/, "").trim();
  const json = parseJson(text);
  // Broken JSON and markup come from a proxy or a fault: their words are no verdict of GREEN-API.
  if (json === undefined) return { fields: undefined, texts: /^[<{["]/.test(text) ? [] : [text], raw };
  const fields = fieldsSchema.safeParse(json);
  return { fields: fields.success ? fields.data : undefined, texts: collectTexts(json, maxDepth), raw };
}

/** An answer has a dozen, and one that lists the chats which a quota leaves some per chat. */
const bounds = { maxMarks: 20_000, maxDepth: 32 };

/** undefined where it is not JSON (which itself has no undefined), or more of it than any answer has. */
export function parseJson(text: string): unknown {
  if (findJsonExcess(Buffer.from(text), bounds) !== undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const maxDepth = 4;
const messageKeys = ["message", "messages", "reason", "description", "error", "errors", "details"] as const;

/** The strings under the keys that hold messages, at any depth that was ever seen and in lists too. */
function collectTexts(value: unknown, depth: number): string[] {
  if (typeof value === "string") return value.trim() === "" ? [] : [value];
  if (typeof value !== "object" || value === null || depth === 0) return [];
  if (Array.isArray(value)) return value.slice(0, 20).flatMap((item) => collectTexts(item, depth - 1));
  const record: Partial<Record<string, unknown>> = { ...value };
  return messageKeys.flatMap((key) => collectTexts(record[key], depth - 1));
}
