import { UserError } from "../../lib/errors.ts";
import { inTurns } from "../../lib/in-turns.ts";
import { maxLineLength } from "../bytes/split-lines.ts";
import { type IntakeRecord, type RecordSource, toReject } from "../records/intake-record.ts";
import type { ReaderOptions } from "../records/line-reader.ts";
import { toRecords } from "../records/to-records.ts";
import { createObjectReader, isObject, type ReadObject } from "./read-object.ts";
import { createItemScanner } from "./scan-items.ts";

/**
 * Reads a JSON array, or JSON values one after the other, over any number of lines. An item is an object, as a line of NDJSON
 * is, or a text or number that is the chat id or phone itself. Their numbers, from 1, take the place of the line.
 * @param chunks of UTF-8 text
 * @throws UserError `broken-json` where the text ends inside an item, or cannot be JSON any more
 */
export async function* readJson(
  chunks: AsyncIterable<Buffer>,
  options: ReaderOptions,
): AsyncGenerator<IntakeRecord[]> {
  options.reading.unit = "item";
  options.reading.format = "JSON";
  const readObject = createObjectReader(options);
  const scanner = createItemScanner(maxLineLength);
  let before = 0;
  async function* readItems(texts: readonly string[]): AsyncGenerator<IntakeRecord[]> {
    for await (const { from, items } of inTurns(texts)) {
      const first = before + from + 1;
      yield items.flatMap((text, index) => readItem({ line: first + index, text }, readObject, options));
    }
    before += texts.length;
  }

  for await (const chunk of chunks) {
    const texts: string[] = [];
    const isJson = scanner.add(chunk, texts);
    yield* readItems(texts);
    if (!isJson) throw brokenJson(before, "has a closing bracket too many");
  }
  const rest: string[] = [];
  const end = scanner.end(rest);
  yield* readItems(rest);
  if (end === "inside")
    throw brokenJson(before, "ends before it is complete: the file is cut off, copy it again");
}

function readItem(source: RecordSource, readObject: ReadObject, options: ReaderOptions): IntakeRecord[] {
  const { text } = source;
  if (text.length > maxLineLength) return [toReject(source, `longer than ${maxLineLength / 1024} KiB`)];
  const json = parseJson(text);
  if (isObject(json)) return readObject(source, json);
  const isCell = typeof json === "string" || Number.isSafeInteger(json);
  if (isCell && options.column === undefined) return toRecords(source, [String(json)], undefined, options);
  return [toReject(source, "not a JSON object")];
}

/** Undefined for what is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function brokenJson(items: number, what: string): UserError {
  return new UserError(
    "broken-json",
    `the JSON ${what} (behind item ${items}); what was read before is kept`,
  );
}
