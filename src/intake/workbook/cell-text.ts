/** In UTF-16; what Excel takes into a cell. */
export const maxCellLength = 32_767;
/** A number in Excel has no more digits: further ones are zeros that it put there. */
const maxDigits = 15;

/** Collects text up to `most`, in UTF-16; by default what a cell holds, and one more to tell that there was more. Pure. */
export function appendText(text: string, more: string, most = maxCellLength + 1): string {
  return text.length >= most ? text : text + more.slice(0, most - text.length);
}

/** A string of a workbook: what XML cannot hold is written as `_x000D_`. Pure. */
export function unescapeText(text: string): string {
  if (!text.includes("_x")) return text;
  return text.replace(/_x([0-9a-f]{4})_/gi, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
}

/**
 * A number of a workbook with all its digits: `7.9001234567E10` is 79001234567, and nothing of it was rounded. A number beyond
 * what Excel holds stays as it is written. Pure.
 */
export function toNumberText(text: string): string {
  const trimmed = text.trim();
  if (/^\d{1,15}$/.test(trimmed)) return trimmed;
  const value = Number(trimmed);
  return trimmed !== "" && Number.isInteger(value) && Math.abs(value) < 10 ** maxDigits
    ? String(value)
    : trimmed;
}

/** The index of a column from its letters, from 0: `C` and `C7` are 2; undefined: there are no letters. Pure. */
export function readColumn(reference: string): number | undefined {
  let number = 0;
  let at = 0;
  for (; at < reference.length && at < 4; at += 1) {
    const digit = (reference.charCodeAt(at) | 0x20) - 0x60;
    if (digit < 1 || digit > 26) break;
    number = number * 26 + digit;
  }
  return at === 0 ? undefined : number - 1;
}

/** The letters of a column by its index, from 0. Pure. */
export function toLetters(index: number): string {
  let letters = "";
  for (let rest = index + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) {
    letters = String.fromCharCode(0x41 + ((rest - 1) % 26)) + letters;
  }
  return letters;
}
