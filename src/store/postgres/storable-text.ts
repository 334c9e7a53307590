/** The text without what Postgres' text and json do not take: NUL, and lone surrogates. */
export function toStorableText(text: string): string {
  return text.replaceAll("\0", "").toWellFormed();
}
