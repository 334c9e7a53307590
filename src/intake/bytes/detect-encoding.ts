import { tryDecode } from "./encodings.ts";

/** Is a cell of a header known, so that its bytes were read right? */
export type KnowsName = (cell: string) => boolean;

/** How an alphabet shows in words. */
type Script = "latin" | "cyrillic";

interface Candidate {
  readonly encoding: string;
  /** Undefined: chosen only where the header says so. */
  readonly script?: Script;
  /** The letters beside ASCII of each of its languages, in lower case. */
  readonly languages?: readonly string[];
}

const marks = "’“”„«»—–№°ªº";
const russian = "абвгдежзийклмнопрстуфхцчшщъыьэюяё";

/**
 * Code pages in which spreadsheets, DOS programs and web forms still write lists, the commoner of two that fit first. Those of
 * two bytes a character, and those whose bytes are letters in any of the others, are told by the header alone. ISO 8859-1 and
 * GBK are parts of windows-1252 and GB 18030.
 */
const candidates: readonly Candidate[] = [
  {
    encoding: "windows-1251",
    script: "cyrillic",
    languages: [russian, "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", "абвгдежзијклмнопрстуфхцчшђљњћџ"],
  },
  {
    encoding: "windows-1252",
    script: "latin",
    // French, German, Spanish, Portuguese, Italian, those of the north, and Dutch.
    languages: ["àâæçéèêëîïôùûüÿœ", "äöüß", "áéíñóúü¿¡", "áâãàçéêíóôõúü", "àèéìòù", "åäöæøéüðþ", "ëïéèüö"],
  },
  {
    encoding: "windows-1250",
    script: "latin",
    // Polish, Czech and Slovak, Hungarian, Romanian, and those of the south.
    languages: ["ąćęłńóśźż", "áčďéěíňóřšťúůýžäôĺľŕ", "áéíóöőúüű", "ăâîşţ", "čćđšž"],
  },
  { encoding: "windows-1254", script: "latin", languages: ["çğıöşüâîûİ"] },
  { encoding: "ibm866", script: "cyrillic", languages: [russian] },
  { encoding: "koi8-r", script: "cyrillic", languages: [russian] },
  { encoding: "gb18030" },
  { encoding: "shift_jis" },
  { encoding: "big5" },
  { encoding: "euc-kr" },
  { encoding: "macintosh" },
  { encoding: "x-mac-cyrillic" },
  { encoding: "windows-1253" },
  { encoding: "windows-1255" },
  { encoding: "windows-1256" },
];

/** A text of words that are not looked for has some signs beside them; bytes that are no text have as many as letters. */
const minLikeness = 0.3;

/**
 * The code page of a text that is not UTF-8: the one in which the header names what is known, or else the one in which the text
 * looks most like words. Undefined where it looks like words in none. Pure.
 * @param sample some KiB, from before the first byte that is not ASCII
 * @param header the bytes of the first line, where they are not all ASCII
 */
export function detectEncoding(
  sample: Uint8Array,
  header: Uint8Array | undefined,
  knowsName: KnowsName,
): string | undefined {
  let best: { readonly encoding: string; readonly score: number } | undefined;
  for (const { encoding, script, languages = [] } of candidates) {
    const names = header === undefined ? 0 : countNames(tryDecode(encoding, header), knowsName);
    const text = script === undefined ? undefined : tryDecode(encoding, sample);
    const likeness =
      text === undefined || script === undefined
        ? 0
        : Math.max(...languages.map((letters) => scoreWords(text, script, letters)));
    // A likeness is at most 1: one name that is known outweighs it.
    const score = names * 2 + likeness;
    if (score >= minLikeness && (best === undefined || score > best.score)) best = { encoding, score };
  }
  return best?.encoding;
}

function countNames(header: string | undefined, knowsName: KnowsName): number {
  if (header === undefined) return 0;
  // Names in ASCII are known in any code page.
  const cells = header.split(/[,;\t|]/).filter((cell) => /[^\0-\x7f]/.test(cell));
  return cells.slice(0, 1000).filter((cell) => knowsName(cell.replaceAll('"', ""))).length;
}

/**
 * How much the characters beside ASCII look like parts of words, at most 1 each, on average: letters of the languages, in words
 * of one alphabet, capitals only in front or throughout. A Latin word has few of them side by side; a Cyrillic one has no other.
 */
function scoreWords(text: string, script: Script, letters: string): number {
  const known = new Set(letters + marks);
  let count = 0;
  let score = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character < "\u0080") continue;
    count += 1;
    const before = text.charAt(at - 1);
    score += known.has(character) || known.has(character.toLowerCase()) ? 1 : -2;
    if (script === "latin" && before >= "\u0080") score -= 0.75;
    if (script === "cyrillic" && /[a-z]/i.test(before + text.charAt(at + 1))) score -= 0.75;
    if (/\p{Lu}/u.test(character) && /\p{Ll}/u.test(before)) score -= 0.75;
  }
  return count === 0 ? 0 : score / count;
}
