import { parseApiUrl as parseBareUrl } from "../../lib/api-url.ts";
import { UserError } from "../../lib/errors.ts";

/** An instance's apiUrl as it was typed. @throws UserError `bad-url` */
export function parseApiUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) {
    throw new UserError(
      "bad-url",
      `--url: "${text.slice(0, 80)}" is not a URL; copy apiUrl from the console, e.g. https://7103.api.greenapi.com`,
    );
  }
  const apiUrl = parseBareUrl(text);
  if (apiUrl === undefined) {
    throw new UserError(
      "bad-url",
      "--url must be the bare apiUrl, e.g. https://7103.api.greenapi.com, without credentials or parameters",
    );
  }
  return apiUrl;
}
