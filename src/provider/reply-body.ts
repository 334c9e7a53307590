import { findJsonExcess } from "../lib/json/find-json-excess.ts";

/** A body, whatever it was, as far as `classify` needs to know it. */
export interface ReplyBody {
  /** The JSON object that the provider answers with; undefined for any other body. */
  readonly fields: ReplyFields | undefined;
  /** The same object as it came, for what is looked for in few bodies. */
  readonly object: Readonly<Record<string, unknown>> | undefined;
  /** What it says in words: a plain text, or the messages of a JSON. None for HTML and for broken JSON. */
  readonly texts: readonly string[];
  /** The body as received. */
  readonly raw: string;
}

/** Stands in for a value that the API was never seen to send there. */
type Garbled = "garbled";
type Code = number | boolean | string | null | undefined;

/** The answers of 2020 to 2026 and the errors, in one. Every key may be missing, and others may come along. */
export interface ReplyFields {
  /** null where it is empty in one of the API's ways, undefined where the key is missing; {@link Garbled} is none, too. */
  readonly urlAvatar: string | null | undefined;
  readonly available: boolean | Garbled | null | undefined;
  readonly base64Avatar: string | null | undefined;
  /** Each of these keys was seen to carry a status inside an HTTP 200. */
  readonly statusCode: Code;
  readonly code: Code;
  readonly status: Code;
}

/** By hand, as it is done for every answer: a schema takes several times as long. */
function readFields(json: Readonly<Record<string, unknown>>): ReplyFields {
  return {
    urlAvatar: readText(json["urlAvatar"]),
    available: readFlag(json["available"]),
    base64Avatar: readText(json["base64Avatar"]),
    statusCode: readCode(json["statusCode"]),
    code: readCode(json["code"]),
    status: readCode(json["status"]),
  };
}

function readText(value: unknown): string | null | undefined {
  if (value === undefined || value === null) return value;
  if (typeof value !== "string") return "garbled";
  const text = value.trim();
  return /^(?:undefined|null)?$/i.test(text) ? null : text;
}

function readFlag(value: unknown): ReplyFields["available"] {
  if (value === undefined || value === null || typeof value === "boolean") return value;
  const word = typeof value === "string" ? value.toLowerCase() : undefined;
  return word === "true" ? true : word === "false" ? false : "garbled";
}

function readCode(value: unknown): Code {
  if (value === undefined || value === null || typeof value === "boolean") return value;
  if (typeof value === "string") return value;
  // JSON has numbers that are too large to be any.
  return typeof value === "number" && Number.isFinite(value) ? value : "garbled";
}

/** Never throws, whatever `raw` is. */
export function parseReplyBody(raw: string): ReplyBody {
  const text = raw.replace(/^\uFEFF/, "").trim();
  const json = parseJson(text);
  // Broken JSON and markup come from a proxy or a fault: their words are no verdict of GREEN-API.
  if (json === undefined)
    return { fields: undefined, object: undefined, texts: /^[<{["]/.test(text) ? [] : [text], raw };
  const texts: string[] = [];
  collectTexts(json, maxDepth, texts);
  const object = isObject(json) ? json : undefined;
  return { fields: object && readFields(object), object, texts, raw };
}

function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** An answer has a dozen, and one that lists the chats which a quota leaves some per chat. */
const bounds = { maxMarks: 20_000, maxDepth: 32 };

/** undefined where it is not JSON (which itself has no undefined), or more of it than any answer has. */
export function parseJson(text: string): unknown {
  if (!isSurelyBounded(text) && findJsonExcess(Buffer.from(text), bounds) !== undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Nearly all bodies are so short, with so few brackets, that no closer look can find an excess. */
function isSurelyBounded(text: string): boolean {
  return text.length <= bounds.maxMarks && count(text, "{") + count(text, "[") <= bounds.maxDepth;
}

function count(text: string, sign: string): number {
  let found = 0;
  for (let at = text.indexOf(sign); at >= 0; at = text.indexOf(sign, at + 1)) found += 1;
  return found;
}

const maxDepth = 4;
const messageKeys = ["message", "messages", "reason", "description", "error", "errors", "details"] as const;

/** The strings under the keys that hold messages, at any depth that was ever seen and in lists too. */
function collectTexts(value: unknown, depth: number, texts: string[]): void {
  if (typeof value === "string") {
    if (value.trim() !== "") texts.push(value);
  } else if (typeof value !== "object" || value === null || depth === 0) {
    return;
  } else if (Array.isArray(value)) {
    for (const item of value.slice(0, 20)) collectTexts(item, depth - 1, texts);
  } else {
    const record: Partial<Record<string, unknown>> = value;
    for (const key of messageKeys) if (record[key] !== undefined) collectTexts(record[key], depth - 1, texts);
  }
}
