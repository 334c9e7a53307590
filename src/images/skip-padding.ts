/** Zeros, ones, blanks and line ends: what programs and discs pad files with. */
const padding = new Set([0x00, 0xff, 0x20, 0x0a, 0x0d]);

/** Where the last byte ends that is no padding; never before `from`. */
export function skipPadding(bytes: Uint8Array, from: number): number {
  let end = bytes.length;
  while (end > from && padding.has(bytes[end - 1] ?? 0)) end -= 1;
  return end;
}
