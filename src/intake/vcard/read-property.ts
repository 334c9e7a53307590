/** A content line of a vCard, unfolded. */
export interface Property {
  /** In capitals, without its group: `TEL` of `item1.TEL`. */
  readonly name: string;
  /** Both in capitals but for the value of `WAID` and the like; a bare parameter of vCard 2.1 (`CELL`) has no name. */
  readonly parameters: readonly Parameter[];
  readonly value: string;
}

export interface Parameter {
  readonly name: string;
  readonly value: string;
}

/** Name and parameters, as far as they go: the index of the colon behind them; -1: there is none. Linear. */
export function findValue(line: string): number {
  let quoted = false;
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at];
    if (character === '"') quoted = !quoted;
    else if (character === ":" && !quoted) return at;
  }
  // A quote that never closes would hide the value.
  return quoted ? line.indexOf(":") : -1;
}

/** The name of a line's property, in capitals and without its group; as far as the line goes. */
export function readName(line: string): string {
  const end = line.search(/[;:]/);
  const name = end < 0 ? line : line.slice(0, end);
  return name
    .slice(name.lastIndexOf(".") + 1)
    .trim()
    .toUpperCase();
}

/** Reads a whole line; undefined where it has no value. Pure, and linear. */
export function readProperty(line: string): Property | undefined {
  const colon = findValue(line);
  if (colon < 0) return undefined;
  return {
    name: readName(line),
    parameters: splitUnquoted(line.slice(0, colon)).slice(1).map(readParameter),
    value: line.slice(colon + 1),
  };
}

/** Is the value of a line, of which this is the beginning, written in quoted-printable? */
export function isQuotedPrintable(head: string): boolean {
  return /;(?:encoding=)?"?quoted-printable/i.test(head);
}

function splitUnquoted(head: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  for (let at = 0; at < head.length; at += 1) {
    if (head[at] === '"') quoted = !quoted;
    else if (head[at] === ";" && !quoted) {
      parts.push(head.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(head.slice(from));
  return parts;
}

function readParameter(text: string): Parameter {
  const equals = text.indexOf("=");
  const name = equals < 0 ? "" : text.slice(0, equals).trim().toUpperCase();
  const value = text.slice(equals + 1).trim();
  return { name, value: value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value };
}
