import { createHash } from "node:crypto";
import type { ResultRow } from "../../domain/views/result-row.ts";

/** The contact that a file is named after. */
export type NamedContact = Pick<ResultRow, "instanceId" | "chatId" | "externalRef">;

/** File systems take 255 bytes of UTF-8; the longest ending, `.webp`, is among them. */
const mostNameBytes = 255 - 5;
/** Names that Windows keeps for devices. */
const reserved = /^(?:con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³])(?:\.|$)/i;

/**
 * A name without its ending that all common file systems take, and that no contact before has: the external reference, else the
 * chat id. Where one before has that, chat id and instance make it another.
 * @param taken names that were given, as file systems without capitals see them; the new one is added
 */
export function toImageName(contact: NamedContact, taken: Set<string>): string {
  for (const wished of listNames(contact)) {
    const name = toShort(wished);
    const seen = toSeen(name);
    if (taken.has(seen)) continue;
    taken.add(seen);
    return name;
  }
  throw new Error("numbers have an end");
}

function* listNames({ instanceId, chatId, externalRef }: NamedContact): Generator<string> {
  const chat = toSafe(chatId);
  const ref = toSafe(externalRef ?? "");
  const first = ref === "" ? chat : ref;
  yield first;
  yield `${first}.${chat}`;
  const whole = `${first}.${chat}.${toSafe(instanceId)}`;
  yield whole;
  // A reference of another contact may look like any of them.
  for (let number = 2; ; number += 1) yield `${whole}.${number}`;
}

function toSafe(text: string): string {
  const name = text
    .normalize("NFC")
    .toWellFormed()
    .replace(/[^\p{L}\p{N}@+_. -]/gu, "_")
    .replace(/^[. ]|[. ]$/g, "_");
  return reserved.test(name) ? `_${name}` : name;
}

/** What is too long is cut, and ends with a hash of the whole: names with one beginning stay apart. */
function toShort(name: string): string {
  if (Buffer.byteLength(name) <= mostNameBytes) return name;
  const ending = `.${createHash("sha256").update(name).digest("hex").slice(0, 16)}`;
  let kept = "";
  let bytes = ending.length;
  for (const sign of name) {
    bytes += Buffer.byteLength(sign);
    if (bytes > mostNameBytes) break;
    kept += sign;
  }
  return kept + ending;
}

/** Two names that any common file system takes for one are the same: `Straße`, `STRASSE`; `K` and the sign of Kelvin. */
function toSeen(name: string): string {
  return name.toLowerCase().toUpperCase().toLowerCase().normalize("NFC");
}
