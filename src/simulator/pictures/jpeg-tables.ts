/** Tables of JPEG (ITU T.81, annex K): DC and AC codes of brightness, which serve the tints as well. */
export const dcCounts = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
export const dcSymbols = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
export const acCounts = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
export const acSymbols = [
  ...Buffer.from(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa",
    "hex",
  ),
];

/** For each place in the order of the file, the place in the block: from the top left in a zigzag. */
export const zigzag: readonly number[] = Array.from({ length: 64 }, (_, place) => place).sort(
  (one, other) => {
    const [a, b] = [toDiagonal(one), toDiagonal(other)];
    return a.sum - b.sum || (a.sum % 2 === 0 ? b.row - a.row : a.row - b.row);
  },
);

function toDiagonal(place: number): { row: number; sum: number } {
  const row = place >> 3;
  return { row, sum: row + (place & 7) };
}

/** How coarse each frequency is kept, in the order of the file: the higher the coarser. */
export function toSteps(base: number, slope: number): Uint8Array {
  return Uint8Array.from(zigzag, (place) => Math.round(base + slope * toDiagonal(place).sum));
}

/** The code of each symbol, `[bits, length]`, by the counts of the codes of each length. */
export function toCodes(
  counts: readonly number[],
  symbols: readonly number[],
): (readonly [number, number])[] {
  const codes: (readonly [number, number])[] = [];
  let code = 0;
  let next = 0;
  for (const [index, count] of counts.entries()) {
    for (let used = 0; used < count; used += 1) {
      codes[symbols[next] ?? 0] = [code, index + 1];
      code += 1;
      next += 1;
    }
    code <<= 1;
  }
  return codes;
}
