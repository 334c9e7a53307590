import { isListName } from "./scan-items.ts";

/** As much of the first line as says what it is. */
const maxStart = 300;

/**
 * Does a text begin as JSON over many lines, or as an array? Undefined while there is too little of it to say. A line that has
 * an object, or most of one, is NDJSON, where a broken line costs itself alone. Pure.
 */
export function startsJson(text: string): boolean | undefined {
  const start = text.trimStart();
  if (start.startsWith("[")) {
    const next = start.slice(1).trimStart().charAt(0);
    return next === "" ? undefined : /[[\]{"\d-]/.test(next);
  }
  if (!start.startsWith("{")) return start === "" ? undefined : false;
  const [line = "", ...others] = start.slice(0, maxStart).split(/[\r\n]/);
  if (others.length === 0 && line.length < maxStart) return undefined;
  const name = /^\{\s{0,20}"(\w{1,40})"\s{0,20}:\s{0,20}\[/.exec(line)?.[1];
  return line.trim() === "{" || (name !== undefined && isListName(name));
}
