import { type IntakeRecord, type RecordSource, toReject } from "../records/intake-record.ts";
import type { LineReader, ReaderOptions } from "../records/line-reader.ts";
import { maxNumbers } from "../ids/parse-cell.ts";
import { noNumber, toRecords } from "../records/to-records.ts";
import { decodeValue, rankNumber, readNumber } from "./decode-value.ts";
import { type ContentLine, createLineJoiner, maxContentLength } from "./join-lines.ts";
import { readProperty } from "./read-property.ts";

const unfinished = "has no END:VCARD: the file may have been cut off there";
const tooMany = `holds more than ${maxNumbers} numbers: no contact has so many`;
const tooLong = `a number longer than ${maxContentLength / 1024} KiB`;

interface CardNumber {
  readonly line: number;
  readonly text: string;
  readonly rank: number;
}

/** A card that has begun. */
interface Card {
  readonly number: number;
  readonly line: number;
  readonly numbers: CardNumber[];
  ref: string | undefined;
  /** Why it may be no contact, unless it has a number. */
  fault: { readonly reason: string; readonly line: number } | undefined;
  /** Cards inside of it that have begun: those of agents. */
  agents: number;
  /** An AGENT was the last property: a card may follow. */
  isAgentNext: boolean;
}

interface CardReading {
  readonly options: ReaderOptions;
  readonly idName: string;
  readonly refName: string;
  card: Card | undefined;
  cards: number;
}

/** Does a file that begins with this line hold vCards? */
export function startsCard(line: string): boolean {
  return /^\s*begin:vcard\s*$/i.test(line);
}

/**
 * Reads vCards of versions 2.1, 3.0 and 4.0: the numbers of a card are contacts, its UID their reference. All else is passed
 * over, names above all. `column` and `refColumn` name other properties. Memory does not grow with a card, and time is linear.
 */
export function createCardReader(options: ReaderOptions): LineReader {
  const reading: CardReading = {
    options,
    idName: toName(options.column ?? "TEL"),
    refName: toName(options.refColumn ?? "UID"),
    card: undefined,
    cards: 0,
  };
  Object.assign(options.reading, { unit: "card", format: "vCard", refColumn: reading.refName });
  options.reading.columns.push(reading.idName);
  const wanted = new Set([reading.idName, reading.refName, "BEGIN", "END", "AGENT"]);
  const joiner = createLineJoiner((name) => wanted.has(name));
  return {
    read({ firstLine, lines }) {
      const records: IntakeRecord[] = [];
      lines.forEach((text, index) => {
        const ended = joiner.add(text, firstLine + index);
        if (ended !== undefined) take(reading, ended, records);
      });
      return records;
    },
    end() {
      const records: IntakeRecord[] = [];
      const ended = joiner.end();
      if (ended !== undefined) take(reading, ended, records);
      giveUp(reading, records);
      return records;
    },
  };
}

function take(reading: CardReading, content: ContentLine, records: IntakeRecord[]): void {
  const { card } = reading;
  const isFrame = /^(?:begin|end):vcard\s*$/i.test(content.text);
  if (isFrame && content.name === "BEGIN") return begin(reading, content, records);
  if (isFrame && content.name === "END") return end(reading, records);
  if (card === undefined) return;
  if (content.text.trim() !== "") card.isAgentNext = content.name === "AGENT";
  if (card.agents > 0) return;
  if (content.name === reading.idName) takeNumber(card, content);
  else if (content.name === reading.refName) takeRef(card, content);
}

function toName(text: string): string {
  return text.trim().toUpperCase();
}

function begin(reading: CardReading, { line }: ContentLine, records: IntakeRecord[]): void {
  const { card } = reading;
  if (card?.isAgentNext) {
    card.agents += 1;
    card.isAgentNext = false;
    return;
  }
  giveUp(reading, records);
  reading.cards += 1;
  reading.card = {
    number: reading.cards,
    line,
    numbers: [],
    ref: undefined,
    fault: undefined,
    agents: 0,
    isAgentNext: false,
  };
}

function end(reading: CardReading, records: IntakeRecord[]): void {
  const { card, options } = reading;
  if (card === undefined) return;
  if (card.agents > 0) {
    card.agents -= 1;
    return;
  }
  reading.card = undefined;
  records.push(...readCard(card, options));
}

/** A card that does not end may have lost a part of its last number: none of it is taken. */
function giveUp(reading: CardReading, records: IntakeRecord[]): void {
  const { card } = reading;
  if (card === undefined) return;
  reading.card = undefined;
  records.push(toReject(toSource(card, []), unfinished));
}

function takeNumber(card: Card, { line, text, isCut }: ContentLine): void {
  if (isCut) {
    card.fault ??= { reason: tooLong, line };
    return;
  }
  const property = readProperty(text);
  const number = property && readNumber(property);
  if (property === undefined || number === undefined || number === "") return;
  if (card.numbers.length > maxNumbers) return;
  card.numbers.push({ line, text: number, rank: rankNumber(property) });
}

function takeRef(card: Card, { text }: ContentLine): void {
  const property = readProperty(text);
  const ref = property && decodeValue(property);
  if (ref !== undefined && ref !== "") card.ref ??= ref;
}

function readCard(card: Card, options: ReaderOptions): IntakeRecord[] {
  const { fault } = card;
  // The best first, where only one is taken.
  const numbers = card.numbers.toSorted((a, b) => a.rank - b.rank);
  const source = toSource(card, numbers);
  if (numbers.length > maxNumbers) return [toReject(source, tooMany)];
  if (numbers.length > 0) {
    const cells = numbers.map(({ text }) => text);
    return toRecords(source, cells, card.ref, options);
  }
  if (fault === undefined) return [toReject(source, noNumber)];
  return [toReject({ ...source, placeOf: () => toPlace(card, fault.line) }, fault.reason)];
}

/** The numbers alone stand for the card: a name is nowhere told. */
function toSource(card: Card, numbers: readonly CardNumber[]): RecordSource {
  return {
    line: card.number,
    // For the few that are rejected.
    get text() {
      return numbers
        .slice(0, 10)
        .map(({ text }) => text)
        .join(", ");
    },
    placeOf: (cell) => toPlace(card, cell === undefined ? card.line : (numbers[cell]?.line ?? card.line)),
  };
}

function toPlace({ number }: Card, line: number): string {
  return `card ${number}, line ${line}`;
}
