const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Can the text be the id of a batch? Postgres has an error for all others, and we: that there is none. */
export function isUuid(text: string): boolean {
  return uuid.test(text);
}

/** The id as the database writes it: only so are two texts of one id equal. Undefined where it is none. */
export function parseUuid(text: string): string | undefined {
  return isUuid(text) ? text.toLowerCase() : undefined;
}
