/**
 * An instance's apiUrl without slashes at its end, so that paths can be appended. Undefined where it is not the bare address of
 * an http or https server: credentials and parameters are refused.
 */
export function parseApiUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) return undefined;
  if (url.search || url.hash || url.username || url.password) return undefined;
  return normalizeApiUrl(text);
}

/** Without trailing slashes. */
export function normalizeApiUrl(apiUrl: string): string {
  return trimEndSlashes(apiUrl.trim());
}

/** By index: a pattern would read a row of slashes anew from each of them. */
export function trimEndSlashes(text: string): string {
  let { length } = text;
  while (length > 0 && text[length - 1] === "/") length -= 1;
  return text.slice(0, length);
}

/** Scheme, host and port, as every client of it reads them. What is no URL, which nothing is sent to, is its own. */
export function toOrigin(apiUrl: string): string {
  return URL.canParse(apiUrl) ? new URL(apiUrl).origin : apiUrl;
}
