import type { Parameter, Property } from "./read-property.ts";

const hexPair = /^[0-9a-f]{2}$/i;
const phoneContext = /^\+[\d().-]+$/;

/** The text of a property's value: out of quoted-printable and its charset, without backslashes. Pure. */
export function decodeValue({ value, parameters }: Property): string {
  const isQuoted = parameters.some(
    ({ name, value: text }) => (name === "" || name === "ENCODING") && /^quoted-printable$/i.test(text),
  );
  const text = isQuoted ? decodeQuotedPrintable(value, findParameter(parameters, "CHARSET")) : value;
  if (!text.includes("\\")) return text.trim();
  return text.replace(/\\(.)/gs, (_, character: string) => (/n/i.test(character) ? "\n" : character)).trim();
}

/** The chat id or phone number of a TEL, as text for a reader of numbers; blank where there is none. Pure. */
export function readNumber(property: Property): string {
  const chat = findParameter(property.parameters, "WAID");
  // WhatsApp's own name for the account, whatever the number beside it is written like.
  if (chat !== undefined && /^[1-9]\d{4,19}$/.test(chat)) return `${chat}@c.us`;
  const text = decodeValue(property);
  return /^tel:/i.test(text) ? readTelUri(text.slice("tel:".length)) : text;
}

/** How likely a TEL is that of a messenger, 0 the best: by what the card says of it. */
export function rankNumber({ parameters }: Property): number {
  if (findParameter(parameters, "WAID") !== undefined) return 0;
  const types = parameters
    .filter(({ name }) => name === "" || name === "TYPE")
    .flatMap(({ value }) => value.toLowerCase().split(","));
  if (types.includes("fax") || types.includes("pager")) return 3;
  return types.some((type) => type === "cell" || type === "iphone") ? 1 : 2;
}

function findParameter(parameters: readonly Parameter[], wanted: string): string | undefined {
  return parameters.find(({ name }) => name === wanted)?.value;
}

/** RFC 3966: `+7-916-000-04-04;ext=1`, or a local number with the prefix that makes it global. */
function readTelUri(uri: string): string {
  const [number = "", ...parameters] = decodePercent(uri).split(";");
  const context = parameters.find((text) => /^phone-context=/i.test(text))?.slice("phone-context=".length);
  const isLocal = !number.trim().startsWith("+");
  return isLocal && context !== undefined && phoneContext.test(context) ? `${context}${number}` : number;
}

function decodePercent(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function decodeQuotedPrintable(text: string, charset: string | undefined): string {
  const bytes: Buffer[] = [];
  let from = 0;
  for (let at = text.indexOf("="); at >= 0; at = text.indexOf("=", at + 1)) {
    const pair = text.slice(at + 1, at + 3);
    if (!hexPair.test(pair)) continue;
    bytes.push(Buffer.from(text.slice(from, at)), Buffer.from(pair, "hex"));
    from = at + 3;
    at += 2;
  }
  bytes.push(Buffer.from(text.slice(from)));
  return decode(Buffer.concat(bytes), charset);
}

function decode(bytes: Buffer, charset: string | undefined): string {
  try {
    return new TextDecoder(charset ?? "utf-8").decode(bytes);
  } catch {
    // A charset by a name that no standard has.
    return bytes.toString();
  }
}
