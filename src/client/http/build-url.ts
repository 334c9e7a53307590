import { operations, type OperationId } from "./operations.ts";

/** What the path's places in braces stand for. */
export type PathValues = Readonly<Record<string, string>>;
/** Lists are joined by commas; what is undefined is left out. */
export type QueryValues = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/**
 * The URL of an operation.
 * @param base without a slash at its end
 * @throws TypeError for a value that would make the path another one
 */
export function buildUrl(
  base: string,
  id: OperationId,
  path: PathValues = {},
  query: QueryValues = {},
): string {
  const filled = operations[id].path.replace(/\{(\w+)\}/g, (_place, name: string) =>
    encodeSegment(name, path[name]),
  );
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, Array.isArray(value) ? value.join(",") : String(value));
  }
  const search = parameters.toString();
  return `${base}${filled}${search === "" ? "" : `?${search}`}`;
}

function encodeSegment(name: string, value: string | undefined): string {
  // Of ".." a URL makes another path, also when it is encoded: an erased contact would become a removed instance.
  if (typeof value !== "string" || value === "" || value === "." || value === "..") {
    throw new TypeError(`${name} cannot be ${value === undefined ? "undefined" : JSON.stringify(value)}`);
  }
  return encodeURIComponent(value.toWellFormed());
}

/**
 * The base URL without a slash at its end.
 * @throws TypeError where it is no plain http or https URL
 */
export function parseBaseUrl(text: string | URL): string {
  const url = URL.canParse(String(text)) ? new URL(text) : undefined;
  const isPlain = url && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "";
  if (!isPlain || url.username !== "" || url.password !== "") {
    throw new TypeError(
      "baseUrl: expected the URL of the server, such as https://avatars.example.com, without /v1, a query or a password",
    );
  }
  // By index: a pattern would read a row of slashes anew from each of them.
  let { length } = url.href;
  while (url.href[length - 1] === "/") length -= 1;
  return url.href.slice(0, length);
}
