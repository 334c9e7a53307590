/** What a reader of one format found: the size in pixels, or why it is no image to keep. */
export type ImageHeader =
  | { readonly kind: "read"; readonly width: number; readonly height: number }
  | { readonly kind: "refused"; readonly reason: "truncated" | "malformed" | "animated" };

export const truncated: ImageHeader = { kind: "refused", reason: "truncated" };
export const malformed: ImageHeader = { kind: "refused", reason: "malformed" };
export const animated: ImageHeader = { kind: "refused", reason: "animated" };
