import type { ImageFacts } from "./image.ts";

/** What became of an image that a contact may show, or have shown. */
export type ImageOfContact =
  | { readonly kind: "kept"; readonly image: ImageFacts }
  /** Its bytes are no longer kept. */
  | { readonly kind: "gone" }
  /** It is none of the contact's. */
  | { readonly kind: "never" };
