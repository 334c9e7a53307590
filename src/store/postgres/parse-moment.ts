import pg from "pg";
import { firstMoment, lastMoment, toPlainMoment } from "../../lib/plain-moment.ts";

const parseTimestamp = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ) as (text: string) => unknown;

/**
 * The moment of a `timestamptz` as Postgres writes it. Always a valid date of the years 1 to 9999: others, and infinite ones,
 * become the first or the last.
 */
export function parseMoment(text: string): Date {
  const parsed = parseTimestamp(text);
  if (parsed instanceof Date && !Number.isNaN(parsed.getTime())) return toPlainMoment(parsed);
  return text.startsWith("-") || text.endsWith(" BC") ? firstMoment : lastMoment;
}
