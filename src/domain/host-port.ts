import type { SettingParse } from "./setting-parse.ts";

/** One door of one machine. */
export interface HostPort {
  /** As URLs have it: small letters, IDN in punycode, an IPv6 address in full and without brackets. */
  readonly host: string;
  readonly port: number;
}

const maxPairs = 100;
const expected =
  "pairs of host:port with commas between them, such as storage.example.com:443, 10.0.0.7:8080 or [::1]:9000";

/** Reads a list of exact `host:port`: no wildcard, no port left out. */
export function parseHostPorts(text: string): SettingParse<readonly HostPort[]> {
  const entries = text.split(",").map((entry) => entry.trim());
  const pairs = entries.filter((entry) => entry !== "").map(parsePair);
  const known = pairs.filter((pair) => pair !== undefined);
  return known.length === pairs.length && known.length <= maxPairs
    ? { ok: true, value: known }
    : { ok: false, expected };
}

function parsePair(entry: string): HostPort | undefined {
  const [, host = "", digits = ""] =
    /^([^\s*/\\?#@:[\]]{1,253}|\[[\d.:a-f]{1,45}\]):(\d{1,5})$/i.exec(entry) ?? [];
  const port = Number(digits);
  if (port === 0 || port > 65_535 || !URL.canParse(`http://${host}`)) return undefined;
  const { hostname } = new URL(`http://${host}`);
  // With a dot at its end a name is another one to all who compare.
  return hostname.endsWith(".") ? undefined : { host: withoutBrackets(hostname), port };
}

/** Where a request for `url` connects to. `url` is of http or https. */
export function toHostPort(url: URL): HostPort {
  const ownPort = url.protocol === "https:" ? 443 : 80;
  return { host: withoutBrackets(url.hostname), port: url.port === "" ? ownPort : Number(url.port) };
}

/** Is the pair one of the list, both parts of it? */
export function isAmong(pairs: readonly HostPort[], { host, port }: HostPort): boolean {
  return pairs.some((pair) => pair.host === host && pair.port === port);
}

function withoutBrackets(hostname: string): string {
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}
