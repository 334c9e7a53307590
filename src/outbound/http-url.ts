/** The longest that browsers and proxies take; the provider's have about 250 characters. */
const maxUrlChars = 8_192;
/**
 * A name of a host has 253 at most, and a port beside it. Of one that is not ASCII the time to read it grows with the square
 * of its length.
 */
const start = /^https?:\/\/[^/\\?#]{1,300}(?:[/\\?#]|$)/i;

/** Letters, digits and signs of ASCII, as nearly all URLs are: Unicode need not be asked. */
const isPlain = /^[!-~]*$/;

/** Reads an http(s) URL of others, in time that is linear in its length; undefined for any other text. */
export function parseHttpUrl(text: string): URL | undefined {
  // Parsers drop line ends and tabs and encode blanks: with them it is no URL that was meant.
  if (text.length > maxUrlChars || !(isPlain.test(text) || !/[\s\p{C}]/u.test(text))) return undefined;
  if (!start.test(text)) return undefined;
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
