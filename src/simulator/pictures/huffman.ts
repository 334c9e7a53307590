/** How long the prefix code of each symbol is, by how often it comes; 0 for one that never does. At most 15. */
export function toCodeLengths(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  // Rare symbols count for more than they are: no code gets longer than 15 bits then.
  const least = total / 900;
  const lengths = counts.map(() => 0);
  const trees = counts.flatMap((count, symbol) =>
    count === 0 ? [] : [{ weight: Math.max(count, least), symbols: [symbol] }],
  );
  while (trees.length > 1) {
    trees.sort((one, other) => other.weight - one.weight);
    const [one, other] = [trees.pop(), trees.pop()];
    if (one === undefined || other === undefined) break;
    const symbols = [...one.symbols, ...other.symbols];
    for (const symbol of symbols) lengths[symbol] = (lengths[symbol] ?? 0) + 1;
    trees.push({ weight: one.weight + other.weight, symbols });
  }
  return lengths;
}

/** The canonical code of each symbol, by the lengths: shorter first, and by symbol among equals. */
export function toCanonicalCodes(lengths: readonly number[]): number[] {
  const codes = lengths.map(() => 0);
  let code = 0;
  for (let length = 1; length <= 15; length += 1) {
    code <<= 1;
    for (const [symbol, its] of lengths.entries()) {
      if (its !== length) continue;
      codes[symbol] = code;
      code += 1;
    }
  }
  return codes;
}
