import type { SettingParse } from "./setting-parse.ts";

/** Where an apiUrl may point that comes over HTTP. */
export interface ApiHost {
  /** As URLs have it: small letters, IDN in punycode. */
  readonly name: string;
  /** Also all hosts below `name`, and not itself. */
  readonly isDomain: boolean;
  /** `*`: any; empty: the scheme's own. */
  readonly port: string;
  readonly schemes: readonly string[];
}

const greenApi = ["greenapi.com", "green-api.com"].flatMap((name): ApiHost[] =>
  [true, false].map((isDomain) => ({ name, isDomain, port: "", schemes: ["https:"] })),
);

const maxHosts = 100;
const expected =
  "hosts with commas between them, such as gateway.example.com, 10.0.0.7:8080, localhost:* or *.example.com";

/** Reads a list of `host`, `host:port`, `host:*` (any port) and `*.domain`, where plain http will do as well. */
export function parseApiHosts(text: string): SettingParse<readonly ApiHost[]> {
  const hosts = text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
    .map(parseHost);
  const known = hosts.filter((host) => host !== undefined);
  return known.length === hosts.length && known.length <= maxHosts
    ? { ok: true, value: known }
    : { ok: false, expected };
}

function parseHost(entry: string): ApiHost | undefined {
  const [, star, host = "", port = ""] =
    /^(\*\.)?([^\s*/\\?#@:[\]]+|\[[\d.:a-f]+\])(?::(\d{1,5}|\*))?$/i.exec(entry) ?? [];
  if (!URL.canParse(`http://${host}`) || Number(port) > 65_535 || port === "0") return undefined;
  const { hostname: name } = new URL(`http://${host}`);
  // An address has nothing below it. With a dot at its end a name is another one to all who compare.
  if ((star !== undefined && isAddress(name)) || name.endsWith(".")) return undefined;
  return { name, isDomain: star !== undefined, port, schemes: ["https:", "http:"] };
}

function isAddress(name: string): boolean {
  return name.startsWith("[") || /^[\d.]+$/.test(name);
}

/** May an apiUrl that comes over HTTP point there: to GREEN-API by https, or to one of `added`? */
export function mayPointTo(apiUrl: string, added: readonly ApiHost[]): boolean {
  const { protocol, hostname, port } = new URL(apiUrl);
  return [...greenApi, ...added].some(
    (host) =>
      host.schemes.includes(protocol) &&
      (host.isDomain ? hostname.endsWith(`.${host.name}`) : hostname === host.name) &&
      (host.port === "*" || host.port === port || (host.port === defaultPorts[protocol] && port === "")),
  );
}

/** URLs leave them out. */
const defaultPorts: Partial<Record<string, string>> = { "http:": "80", "https:": "443" };
