import { toExcerpt } from "../../domain/chat-id.ts";
import { UserError } from "../../lib/errors.ts";

/** Decodes the text of one input, chunk by chunk. */
export interface Decoder {
  decode(chunk: Buffer): string;
  end(): string;
}

/** Beside ASCII and Latin-1, windows-1252 has these, from 0x80 on. Node 20 decodes it as Latin-1. */
const highWindows1252 =
  "\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178";

/**
 * The name of an encoding by any of its labels, as browsers know them: `cp1251` and `windows-1251` are one.
 * @throws UserError `unknown-encoding`
 */
export function parseEncoding(label: string): string {
  const plain = label.trim().replace(/^cp[-_]?(?=125\d$)/i, "windows-");
  try {
    return new TextDecoder(plain).encoding;
  } catch (cause) {
    throw new UserError(
      "unknown-encoding",
      `unknown encoding "${toExcerpt(label)}": give a name such as utf-8, windows-1251, windows-1252, shift_jis or gb18030`,
      { cause },
    );
  }
}

/** Bytes that are not text of the encoding become U+FFFD. @param encoding from {@link parseEncoding} */
export function createDecoder(encoding: string): Decoder {
  const decoder = new TextDecoder(encoding);
  const mend = encoding === "windows-1252" ? mendWindows1252 : (text: string) => text;
  return {
    decode: (chunk) => mend(decoder.decode(chunk, { stream: true })),
    end: () => mend(decoder.decode()),
  };
}

/** The whole text, or undefined where the bytes are not of the encoding. What is cut at the end is left out. */
export function tryDecode(encoding: string, bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes, { stream: true });
    return encoding === "windows-1252" ? mendWindows1252(text) : text;
  } catch {
    return undefined;
  }
}

function mendWindows1252(text: string): string {
  return text.replace(/[\u0080-\u009f]/g, (character) =>
    highWindows1252.charAt(character.charCodeAt(0) - 0x80),
  );
}
