import { InvalidArgumentError } from "commander";
import { mostCallsPerDay, parseCareZone, parseQuietHours, type QuietHours } from "../../domain/care/care.ts";
import { hasAtMost, intakeBounds } from "../../domain/intake-bounds.ts";
import { parseInstanceId, simulatedInstanceId, type InstanceId } from "../../domain/instance-id.ts";
import { UserError } from "../../lib/errors.ts";

export function toInstanceId(text: string): InstanceId {
  const id = parseInstanceId(text);
  if (id === undefined) throw new InvalidArgumentError("An instance id is digits only.");
  return id;
}

/** The id of an instance to add. */
export function toNewInstanceId(text: string): InstanceId {
  const id = toInstanceId(text);
  if (id === simulatedInstanceId) throw new InvalidArgumentError("This id is the simulator's.");
  return id;
}

export function toWholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("Expected a whole number.");
  return Number(text);
}

export function toCount(text: string): number {
  const count = toWholeNumber(text);
  if (count < 1 || count > 100_000)
    throw new InvalidArgumentError("Expected a whole number from 1 to 100000.");
  return count;
}

/** A label, as long as over HTTP. */
export function toLabel(text: string): string {
  if (!hasAtMost(text, intakeBounds.label))
    throw new InvalidArgumentError(`Expected up to ${intakeBounds.label} characters.`);
  return text;
}

/** The bounds of AVATARS_REQUESTS_PER_SECOND. */
export function toRate(text: string): number {
  const number = Number(text);
  if (!(number >= 0.1 && number <= 10_000))
    throw new InvalidArgumentError("Expected a number from 0.1 to 10000.");
  return number;
}

export function toShare(text: string): number {
  const number = Number(text);
  if (text.trim() === "" || !(number >= 0 && number <= 1))
    throw new InvalidArgumentError("Expected a number from 0 to 1.");
  return number;
}

/** For parsers whose errors are ours: commander names the option in front of them. */
export function orInvalid<Value>(parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    if (error instanceof UserError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

/** Calls a day. */
export function toCallsPerDay(text: string): number {
  const count = Number(text);
  if (!/^\d{1,10}$/.test(text) || count < 1 || count > mostCallsPerDay)
    throw new InvalidArgumentError(`Expected a whole number from 1 to ${mostCallsPerDay}.`);
  return count;
}

export function toQuietHours(text: string): QuietHours {
  const hours = parseQuietHours(text);
  if (!hours.ok) throw new InvalidArgumentError(`Expected ${hours.expected}.`);
  return hours.value;
}

export function toTimeZone(text: string): string {
  const zone = parseCareZone(text);
  if (!zone.ok) throw new InvalidArgumentError(`Expected ${zone.expected}.`);
  return zone.value;
}

/** A value, or the word `none`. */
export function orNone<Value>(parse: (text: string) => Value): (text: string) => Value | "none" {
  return (text) => (text === "none" ? text : parse(text));
}

/** A value, or the word `default`. (Commander makes an empty text of a null.) */
export function orDefault<Value>(parse: (text: string) => Value): (text: string) => Value | "default" {
  return (text) => (text === "default" ? text : parse(text));
}
