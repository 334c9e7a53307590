import { foldName, rankIdName, rankRefName } from "./column-names.ts";
import { type IntakeRecord, toIntakeRecord, toReject } from "./intake-record.ts";
import type { LineReader, LineReaderOptions } from "./line-reader.ts";
import { maxLineLength } from "./split-lines.ts";

interface Key {
  readonly idRank: number | undefined;
  readonly refRank: number | undefined;
}

type Json = Readonly<Record<string, unknown>>;

// Objects of a real export share their keys; a file of ever new ones must not fill the memory.
const maxCachedKeys = 1000;

/** Reads one JSON object per line. */
export function createNdjsonReader(options: LineReaderOptions): LineReader {
  const rankKey = createKeyRanks(options);

  const rankId = (key: string) => rankKey(key).idRank;
  const rankRef = (key: string) => rankKey(key).refRank;

  function readLine(text: string, line: number): IntakeRecord {
    const source = { line, text };
    if (text.length > maxLineLength) return toReject(source, `longer than ${maxLineLength / 1024} KiB`);
    const json = parseObject(text);
    if (json === undefined) return toReject(source, "not a JSON object");
    const keys = Object.keys(json);
    const id = findBest(json, keys, rankId);
    if (id === undefined) return toReject(source, "no chat id or phone number");
    const ref = findBest(json, keys, rankRef);
    const faulty = id.text === undefined ? id : ref?.text === undefined ? ref : undefined;
    if (faulty !== undefined) return toReject(source, `"${faulty.key}" is neither text nor a whole number`);
    return toIntakeRecord(source, id.text ?? "", ref?.text, options.defaultCountry);
  }

  return {
    // A million times over, what is not allocated need not be collected.
    read({ firstLine, lines }) {
      const records: IntakeRecord[] = [];
      for (let index = 0; index < lines.length; index += 1) {
        const text = lines[index] ?? "";
        if (text.trim() !== "") records.push(readLine(text, firstLine + index));
      }
      return records;
    },
    end: () => [],
  };
}

function createKeyRanks({ column, refColumn }: LineReaderOptions): (key: string) => Key {
  const cache = new Map<string, Key>();
  const rankId = column === undefined ? rankIdName : rankOnly(column);
  const rankRef = refColumn === undefined ? rankRefName : rankOnly(refColumn);
  return (key) => {
    const known = cache.get(key);
    if (known !== undefined) return known;
    const folded = foldName(key);
    const ranks = { idRank: rankId(folded), refRank: rankRef(folded) };
    if (cache.size < maxCachedKeys) cache.set(key, ranks);
    return ranks;
  };
}

function rankOnly(name: string): (folded: string) => number | undefined {
  const wanted = foldName(name);
  return (folded) => (folded === wanted ? 0 : undefined);
}

function parseObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

/** The best ranked of the values that are there; its text is undefined where it cannot be an id. */
function findBest(json: Json, keys: readonly string[], rank: (key: string) => number | undefined) {
  let best: { key: string; rank: number; text: string | undefined } | undefined;
  for (const key of keys) {
    const keyRank = rank(key);
    if (keyRank === undefined || (best !== undefined && best.rank <= keyRank)) continue;
    const text = toText(json[key]);
    if (text !== "") best = { key, rank: keyRank, text };
  }
  return best;
}

/** Blank for nothing; undefined for what has no exact text. */
function toText(value: unknown): string | undefined {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value.trim();
  return typeof value === "number" && Number.isSafeInteger(value) ? String(value) : undefined;
}
