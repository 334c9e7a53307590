/** What a reader of one format found: the size in pixels, or why it is no picture to keep. */
export type PictureHeader =
  | { readonly kind: "read"; readonly width: number; readonly height: number }
  | { readonly kind: "refused"; readonly reason: "truncated" | "malformed" | "animated" };

export const truncated: PictureHeader = { kind: "refused", reason: "truncated" };
export const malformed: PictureHeader = { kind: "refused", reason: "malformed" };
export const animated: PictureHeader = { kind: "refused", reason: "animated" };
