/** The next number of a repeatable sequence, at least 0 and below 1. */
export type Random = () => number;

/** A 32-bit hash of `text` that differs with `seed` (FNV-1a, then murmur3's finalizer). */
function hashText(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) | 0;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A repeatable sequence (mulberry32): the same seed gives the same numbers on every machine. */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * The sequence that belongs to `subject` alone. Chance is drawn per subject (a chat, the n-th call of a chat), never from one
 * common sequence. So a run repeats in whatever order calls arrive.
 */
export function createRandomOf(subject: string, seed: number): Random {
  return createRandom(hashText(subject, seed));
}

/** One of the names, each with its share of all draws, 0 to 1; undefined for the rest. */
export function drawShare<Name extends string>(
  shares: { readonly [Key in Name]?: number },
  random: Random,
): Name | undefined {
  let draw = random();
  for (const [name, share] of Object.entries<number | undefined>(shares)) {
    if (draw < (share ?? 0)) return name as Name;
    draw -= share ?? 0;
  }
  return undefined;
}
