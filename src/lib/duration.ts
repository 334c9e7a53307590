import { UserError } from "./errors.ts";

const unitMs: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
/** A century. What is asked of contacts may be no older: domain/intake-bounds.ts. */
const maxMs = 36_600 * 86_400_000;

/**
 * Reads `7d`, `12h`, `90m`, `30s`, `500ms`, `2w`, or a bare number of seconds. Returns ms.
 * @throws UserError `invalid-duration`, naming `what`
 */
export function parseDurationMs(text: string, what: string): number {
  const [, count, unit = "s"] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?$/i.exec(text.trim()) ?? [];
  const ms = Number(count) * (unitMs[unit.toLowerCase()] ?? Number.NaN);
  if (Number.isFinite(ms) && ms <= maxMs) return ms;
  throw new UserError(
    "invalid-duration",
    `${what}: "${text.slice(0, 40)}" is no duration; expected e.g. 7d, 12h, 30m or 0`,
  );
}

/** For people: `2 h 5 min`, `40 s`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min ${seconds % 60} s`;
  return `${seconds} s`;
}
