/** A number from 0 to 1, both excluded: always the same for the same three, and as good as independent for any others. */
export function toUniform(seed: number, stream: number, index: number): number {
  return (scramble(scramble(scramble(seed) + stream) + index) + 0.5) / 2 ** 32;
}

/** Waiting time until the next event of a Poisson process, in units of its mean. */
export function toExponential(seed: number, stream: number, index: number): number {
  return -Math.log(toUniform(seed, stream, index));
}

/** Of mean 0 and deviation 1 (Box and Muller). Takes two indices, from `index` on. */
export function toNormal(seed: number, stream: number, index: number): number {
  const radius = Math.sqrt(2 * toExponential(seed, stream, index));
  return radius * Math.cos(2 * Math.PI * toUniform(seed, stream, index + 1));
}

/** The finalizer of MurmurHash3, moved so that 0 is nothing special: each bit of the input moves half of the output's. */
function scramble(input: number): number {
  let bits = (input + 0x9e37_79b9) | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
