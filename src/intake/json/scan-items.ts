/** Where the scanner is in the text. */
export type ScanEnd = "between" | "inside";

/**
 * Finds the items of a JSON text of any length, chunk by chunk, as they are written. One that is too long comes cut, but never
 * shorter than one unit above that.
 */
export interface ItemScanner {
  /** Appends to `items` all that `chunk`, of UTF-8 text, completes. False: the text cannot be JSON from here on. */
  add(chunk: Buffer, items: string[]): boolean;
  /** No more chunks: is an item or a list still open? */
  end(items: string[]): ScanEnd;
}

// A UTF-16 code unit takes at most three bytes of UTF-8.
const bytesPerUnit = 3;
/** Lists in an object of their own: `{ "total": 2, "contacts": [ … ] }`. */
const listNames = new Set(
  "contacts data items results result records rows customers clients people persons users leads list".split(
    " ",
  ),
);
const maxListDepth = 2;
/** Of a name with its quotes, its colon and blanks. */
const maxName = 200;

const nothing = Buffer.alloc(0);
const [blank, quote, backslash, comma] = [0x20, 0x22, 0x5c, 0x2c];
const [openList, closeList, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];

interface Scanning {
  readonly maxHeld: number;
  depth: number;
  /** The depth at which items stand: 0 beside each other, more in a list; undefined behind a list, until its object ends. */
  itemDepth: number | undefined;
  inString: boolean;
  isEscaped: boolean;
  /** The beginning of the open item, from earlier chunks; undefined: none is open. */
  held: Buffer[] | undefined;
  heldLength: number;
  /** Where it goes on in this chunk. */
  start: number;
}

/**
 * The items are the elements of an array at the top, or of one in an object of its own, or else the values that stand beside
 * each other. Each byte is looked at once. Nothing is held but the item that is open, and of that no more than it may have.
 * What is inside an item is for `JSON.parse` to judge.
 * @param maxLength of an item, in UTF-16 code units
 */
export function createItemScanner(maxLength: number): ItemScanner {
  const scanning: Scanning = {
    maxHeld: bytesPerUnit * (maxLength + 1),
    depth: 0,
    itemDepth: 0,
    inString: false,
    isEscaped: false,
    held: undefined,
    heldLength: 0,
    start: 0,
  };
  return {
    add: (chunk, items) => scanChunk(scanning, chunk, items),
    end(items) {
      if (scanning.depth > 0 || scanning.inString) return "inside";
      scanning.start = 0;
      endItem(scanning, nothing, 0, items);
      return "between";
    },
  };
}

function scanChunk(scanning: Scanning, chunk: Buffer, items: string[]): boolean {
  scanning.start = 0;
  for (let at = 0; at < chunk.length; at += 1) {
    if (scanning.inString) {
      at = skipString(scanning, chunk, at);
      if (!scanning.inString && scanning.depth === scanning.itemDepth)
        endItem(scanning, chunk, at + 1, items);
    } else if (!takeByte(scanning, chunk, at, items)) return false;
  }
  hold(scanning, chunk.subarray(scanning.start));
  return true;
}

/** Takes one byte that is not inside a text. False: it closes what was never opened. */
function takeByte(scanning: Scanning, chunk: Buffer, at: number, items: string[]): boolean {
  const byte = chunk[at] ?? 0;
  switch (byte) {
    case quote:
      beginItem(scanning, at);
      scanning.inString = true;
      return true;
    case openList:
    case openObject:
      if (byte === openObject || !entersList(scanning, chunk.subarray(scanning.start, at))) {
        beginItem(scanning, at);
      }
      scanning.depth += 1;
      return true;
    case closeList:
    case closeObject:
      return close(scanning, chunk, at, items);
    default:
      if (byte > blank && byte !== comma) beginItem(scanning, at);
      else endAtDepth(scanning, chunk, at, items);
      return true;
  }
}

function close(scanning: Scanning, chunk: Buffer, at: number, items: string[]): boolean {
  // A number may stand right before it.
  endAtDepth(scanning, chunk, at, items);
  if (scanning.depth === 0) return false;
  scanning.depth -= 1;
  endAtDepth(scanning, chunk, at + 1, items);
  if (scanning.held === undefined) leaveList(scanning);
  return true;
}

function endAtDepth(scanning: Scanning, chunk: Buffer, end: number, items: string[]): void {
  if (scanning.depth === scanning.itemDepth) endItem(scanning, chunk, end, items);
}

function beginItem(scanning: Scanning, at: number): void {
  if (scanning.held !== undefined || scanning.depth !== scanning.itemDepth) return;
  scanning.held = [];
  scanning.start = at;
}

/** @returns the index of the quote that ends the text, or of the last byte */
function skipString(scanning: Scanning, chunk: Buffer, from: number): number {
  let at = from;
  for (; at < chunk.length; at += 1) {
    if (scanning.isEscaped) scanning.isEscaped = false;
    else if (chunk[at] === backslash) scanning.isEscaped = true;
    else if (chunk[at] === quote) {
      scanning.inString = false;
      return at;
    }
  }
  return at;
}

/** Is the bracket that of the list of items? What stands before it is no item then. */
function entersList(scanning: Scanning, before: Buffer): boolean {
  if (scanning.itemDepth !== 0 || scanning.depth > maxListDepth) return false;
  if (scanning.depth === 0 ? scanning.held !== undefined : !isListNamed(scanning, before)) return false;
  scanning.held = undefined;
  scanning.heldLength = 0;
  scanning.itemDepth = scanning.depth + 1;
  return true;
}

function isListNamed({ held = [] }: Scanning, before: Buffer): boolean {
  // A name may be parted by the ends of chunks.
  let text = before.subarray(-maxName).toString("latin1");
  for (let part = held.length - 1; part >= 0 && text.length < maxName; part -= 1) {
    text = (held[part] ?? nothing).subarray(-maxName).toString("latin1") + text;
  }
  const name = /"(\w{1,40})"\s{0,20}:\s{0,20}$/.exec(text)?.[1];
  return name !== undefined && isListName(name);
}

/** Is it what APIs call the list in their answers? */
export function isListName(name: string): boolean {
  return listNames.has(name.toLowerCase());
}

/** Behind the list of items nothing is one, until the object that has it ends. */
function leaveList(scanning: Scanning): void {
  if (scanning.depth === 0) scanning.itemDepth = 0;
  else if (scanning.itemDepth !== undefined && scanning.depth < scanning.itemDepth) {
    scanning.itemDepth = undefined;
  }
}

function hold(scanning: Scanning, bytes: Buffer): void {
  if (scanning.held === undefined) return;
  const kept = bytes.subarray(0, scanning.maxHeld - scanning.heldLength);
  if (kept.length > 0) scanning.held.push(kept);
  scanning.heldLength += kept.length;
}

/** @param end its end in the chunk */
function endItem(scanning: Scanning, chunk: Buffer, end: number, items: string[]): void {
  if (scanning.held === undefined) return;
  hold(scanning, chunk.subarray(scanning.start, end));
  const bytes = scanning.held.length === 1 ? scanning.held[0]! : Buffer.concat(scanning.held);
  items.push(bytes.toString());
  scanning.held = undefined;
  scanning.heldLength = 0;
}
