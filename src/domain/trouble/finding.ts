import type { Hold } from "./hold.ts";

/** The word of a look at getStateInstance on the instance. */
export type Finding =
  | { readonly kind: "works" }
  | { readonly kind: "trouble"; readonly hold: Hold }
  /** The provider does not answer for the state either: the look failed as lookups do. */
  | { readonly kind: "silent"; readonly ground: "silence" | "failure" }
  /** The look told nothing: it was refused for the rate, or could not be made. */
  | { readonly kind: "untold" };
