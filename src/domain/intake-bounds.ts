/**
 * What may come with contacts, the same by every way in: HTTP, SQL, BullMQ, the producer, files and the command line.
 * `avatars.enqueue` has these numbers in SQL (migrations/0008_sql_surface.sql); a test holds all ways against each other.
 */
export const intakeBounds = {
  /** A century, so that the moment from which an answer is fresh enough is one that every reader can tell. */
  maxAgeMs: 36_600 * 86_400_000,
  /** Of a batch, in characters. */
  label: 200,
  externalRef: 200,
  /** Of a chat id or phone number as it is written: long enough for a link with a prefilled message. */
  idText: 1_000,
  /** Items of one call. Files and streams have any number. */
  items: { json: 10_000, job: 100_000, sql: 1_000_000 },
} as const;

/** Has the text at most so many characters? They are Unicode's, as Postgres and JSON Schema count them. */
export function hasAtMost(text: string, characters: number): boolean {
  if (text.length <= characters) return true;
  if (text.length > 2 * characters) return false;
  return Array.from(text).length <= characters;
}
