import { useEffect, useState } from "preact/hooks";

/** A place in the console, as the address has it behind its hash: `#/batches/42?state=done`. */
export interface Place {
  /** Decoded: `["batches", "42"]`. */
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

/** Reads a hash. What is no path is the start page. */
export function parseHash(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const parts = path.split("/").filter((part) => part !== "");
  return { parts: parts.map(decode), query: new URLSearchParams(query) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a place. */
export function toHash(
  parts: readonly string[],
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const search = new URLSearchParams(given).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

export function goTo(hash: string): void {
  location.hash = hash;
}

/** Another query at the same place: the way back stays what it was. */
export function replaceQuery(query: Readonly<Record<string, string | undefined>>): void {
  const { parts } = parseHash(location.hash);
  history.replaceState(null, "", toHash(parts, query));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** The place where the browser is. */
export function usePlace(): Place {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const read = () => setHash(location.hash);
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  return parseHash(hash);
}
