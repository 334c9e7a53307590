import { setFlagsFromString } from "node:v8";

/**
 * Keeps V8's young generation as large as it is: some 8 MiB when the modules of the command are loaded. It would grow to 32, and the
 * memory of a worker at saturation by some 35 MB with it. The price is some 4 µs of CPU a contact there (docs/decisions.md).
 * For the process to call, once.
 *
 * The limit of that size can be given to Node.js when it starts, and not later. V8 reads the factor of its growth each time
 * (`NewSpace::Grow`, src/heap/new-spaces.cc, V8 11 to 14).
 */
export function holdYoungGeneration(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
