import type { ImageFacts } from "./image.ts";

/** The avatar whose image is to be taken: of this contact, in this version. */
export interface WantedImage {
  readonly contactId: number;
  /** Fence: what was taken of another version than the row has by then is not for it. */
  readonly version: string;
  /** Undefined: the answer had the image and no URL, and the image is lost. */
  readonly url: string | undefined;
  /** Undefined: the URL does not tell. */
  readonly urlExpiresAt: Date | undefined;
  /** Tries in vain so far. */
  readonly attempts: number;
}

/**
 * How one try to take an image ended.
 *
 * - `taken`: its bytes are stored.
 * - `refused`: this version has none that can be shown; `error` is a code. It is tried again with another version, and where the
 *   URL or its host was at fault (such as `gone`, `forbidden`, `expired`, `redirect`) with another URL.
 * - `expired`: the URL is dead; the contact is asked again for another one.
 * - `failed`: it may go better later.
 */
export type ImageSettlement =
  | { readonly kind: "taken"; readonly image: ImageFacts; readonly at: Date }
  | { readonly kind: "refused"; readonly error: string }
  | { readonly kind: "expired" }
  | { readonly kind: "failed"; readonly error: string; readonly retryInMs: number };

export interface SettledImage {
  readonly wanted: Pick<WantedImage, "contactId" | "version">;
  readonly settlement: ImageSettlement;
}
