import { toExcerpt } from "../../domain/chat-id.ts";
import { maxNumbers } from "../ids/parse-cell.ts";
import { type ColumnKind, foldName, rankRefName, readIdName } from "../records/column-names.ts";
import { type IntakeRecord, type RecordSource, toReject } from "../records/intake-record.ts";
import type { ReaderOptions } from "../records/line-reader.ts";
import { noNumber, toRecords } from "../records/to-records.ts";

export type Json = Readonly<Record<string, unknown>>;

/** Reads the contacts of one JSON object. */
export type ReadObject = (source: RecordSource, json: Json) => IntakeRecord[];

interface Key {
  readonly kind: ColumnKind | undefined;
  readonly rank: number;
  readonly refRank: number | undefined;
}

// Objects of a real export share their keys; a file of ever new ones must not fill the memory.
const maxCachedKeys = 1000;
/** Of the summary. */
const maxNamedKeys = 30;
const kinds: readonly ColumnKind[] = ["chat-id", "phone", "number"];
/** The key of a number in an object that describes it: `{ "type": "WORK", "value": "+7…" }`. */
const valueNames = new Set(["value", "canonicalform", "e164", "raw"]);

/** For the objects of one input: they are expected to share their keys. */
export function createObjectReader(options: ReaderOptions): ReadObject {
  const findKey = createKeys(options);
  return (source, json) => {
    const keys = Object.keys(json);
    const ref = findRef(json, keys, findKey);
    for (const kind of kinds) {
      const named = keys.filter((key) => findKey(key).kind === kind);
      if (named.length > 1) named.sort((a, b) => findKey(a).rank - findKey(b).rank);
      const cells = listCells(json, named);
      if (cells.faulty !== undefined) return [toReject(source, explainFault(cells.faulty))];
      if (cells.texts.length === 0) continue;
      if (ref.faulty !== undefined) return [toReject(source, explainFault(ref.faulty))];
      return toRecords(source, cells.texts, ref.text, options);
    }
    return [toReject(source, noNumber)];
  };
}

/** The texts of some keys; `faulty` is one that has no exact text, where no other has any. */
function listCells(
  json: Json,
  keys: readonly string[],
): { readonly texts: string[]; readonly faulty: string | undefined } {
  const texts: string[] = [];
  let faulty: string | undefined;
  for (const key of keys) {
    const found = toTexts(json[key]);
    if (found === undefined) faulty ??= key;
    else texts.push(...found);
  }
  return { texts, faulty: texts.length === 0 ? faulty : undefined };
}

/** The texts of a value, of a list, or of objects that describe a number each; undefined for what has no exact text. */
function toTexts(value: unknown): string[] | undefined {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  const texts: string[] = [];
  let isFaulty = false;
  for (const each of values) {
    const text = toText(isObject(each) ? findValue(each) : each);
    if (text === undefined) isFaulty = true;
    else if (text !== "") texts.push(text);
    // One more than a record may have: the record is turned away for it.
    if (texts.length > maxNumbers) break;
  }
  return isFaulty && texts.length === 0 ? undefined : texts;
}

/** The number of an object that describes it; undefined where there is no telling which of its values that is. */
function findValue(json: Json): unknown {
  const keys = Object.keys(json);
  const named = keys.find((key) => readIdName(key) !== undefined && isFilled(json[key]));
  const key = named ?? keys.find((name) => valueNames.has(foldName(name)) && isFilled(json[name]));
  // An object of blanks is as good as none.
  if (key === undefined) return keys.every((name) => !isFilled(json[name])) ? "" : json;
  return json[key];
}

function isFilled(value: unknown): boolean {
  return value !== null && value !== undefined && value !== "";
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Blank for nothing; undefined for what has no exact text. */
function toText(value: unknown): string | undefined {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value.trim();
  return typeof value === "number" && Number.isSafeInteger(value) ? String(value) : undefined;
}

function findRef(
  json: Json,
  keys: readonly string[],
  findKey: (key: string) => Key,
): { readonly text?: string; readonly faulty?: string } {
  let best: { readonly key: string; readonly rank: number; readonly text: string | undefined } | undefined;
  for (const key of keys) {
    const rank = findKey(key).refRank;
    if (rank === undefined || (best !== undefined && best.rank <= rank)) continue;
    const text = toText(json[key]);
    if (text !== "") best = { key, rank, text };
  }
  if (best === undefined) return {};
  return best.text === undefined ? { faulty: best.key } : { text: best.text };
}

function createKeys({ column, refColumn, reading }: ReaderOptions): (key: string) => Key {
  const cache = new Map<string, Key>();
  const wanted = column === undefined ? undefined : foldName(column);
  const wantedRef = refColumn === undefined ? undefined : foldName(refColumn);

  const readKey = (key: string): Key => {
    const folded = foldName(key);
    const name = wanted === undefined ? readIdName(key) : undefined;
    const byUser = wanted === folded ? ({ kind: "phone", rank: 0 } as const) : undefined;
    const refRank = wantedRef === undefined ? rankRefName(key) : wantedRef === folded ? 0 : undefined;
    return { kind: byUser?.kind ?? name?.kind, rank: byUser?.rank ?? name?.rank ?? 0, refRank };
  };

  return (key) => {
    const known = cache.get(key);
    if (known !== undefined) return known;
    const read = readKey(key);
    if (cache.size < maxCachedKeys) {
      cache.set(key, read);
      if (read.kind !== undefined && reading.columns.length < maxNamedKeys)
        reading.columns.push(toExcerpt(key));
      if (read.refRank !== undefined) reading.refColumn ??= toExcerpt(key);
    }
    return read;
  };
}

function explainFault(key: string): string {
  return `"${toExcerpt(key)}" is neither text nor a whole number`;
}
