import { maxLineLength } from "../bytes/split-lines.ts";
import { type IntakeRecord, toReject } from "../records/intake-record.ts";
import type { LineReader, ReaderOptions } from "../records/line-reader.ts";
import { createObjectReader, type Json } from "./read-object.ts";

/** Reads one JSON object per line. */
export function createNdjsonReader(options: ReaderOptions): LineReader {
  options.reading.format = "NDJSON";
  const readObject = createObjectReader(options);

  function readLine(text: string, line: number): IntakeRecord[] {
    const source = { line, text };
    if (text.length > maxLineLength) return [toReject(source, `longer than ${maxLineLength / 1024} KiB`)];
    const json = parseObject(text);
    return json === undefined ? [toReject(source, "not a JSON object")] : readObject(source, json);
  }

  return {
    // A million times over, what is not allocated need not be collected.
    read({ firstLine, lines }) {
      const records: IntakeRecord[] = [];
      for (let index = 0; index < lines.length; index += 1) {
        const text = lines[index] ?? "";
        if (text.trim() !== "") records.push(...readLine(text, firstLine + index));
      }
      return records;
    },
    end: () => [],
  };
}

/** The object of a text that is one; undefined for anything else. */
function parseObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}
