/**
 * An instance's apiUrl without slashes at its end, so that paths can be appended; undefined where it is not the bare address of
 * an http or https server: it may hold no credentials and no parameters.
 */
export function parseApiUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) return undefined;
  if (url.search || url.hash || url.username || url.password) return undefined;
  return normalizeApiUrl(text);
}

/** Without trailing slashes. */
export function normalizeApiUrl(apiUrl: string): string {
  return apiUrl.trim().replace(/\/+$/, "");
}
