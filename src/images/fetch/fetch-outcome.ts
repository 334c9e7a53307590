import type { TargetRefusal } from "../../outbound/judge-target.ts";
import type { ImageFault, TakenImage } from "../image.ts";

/**
 * What came of one try to take an image from its URL. Holds no text of others: neither the URL, whose query is a signature, nor
 * what a server said.
 */
export type FetchOutcome =
  | TakenImage
  /** The URL has died, as all of WhatsApp's do: a new one has to be asked for. */
  | { readonly kind: "expired" }
  /** HTTP 401, 403 or 451, for another reason than a signature's age. */
  | { readonly kind: "forbidden"; readonly status: number }
  /** HTTP 404 or 410. */
  | { readonly kind: "gone"; readonly status: number }
  | RefusedFetch
  | FailedFetch
  /** Larger than usual, while other large ones have all the room: nothing is known of it but that it is to be begun again. */
  | { readonly kind: "postponed" };

/** The same URL is refused again: by its form, or by what it leads to. */
export interface RefusedFetch {
  readonly kind: "refused";
  readonly reason: RefusalReason;
}

export type RefusalReason =
  | TargetRefusal
  | ImageFault
  /** HTTP 3xx. Its target would be a URL that the provider has not told. */
  | "redirect"
  /** A `Content-Encoding` that was not asked for. */
  | "encoding";

/** Waiting and trying the same again may help. */
export interface FailedFetch {
  readonly kind: "failed";
  readonly reason: FailureReason;
  /** A stable code: undici's or Node's, such as `ECONNREFUSED`, or `HTTP_503`. */
  readonly code: string;
  /** From Retry-After, of HTTP 429 and 5xx: 0 to 3,600,000. */
  readonly retryAfterMs: number | undefined;
}

export type FailureReason =
  /** The time for the whole fetch passed. */
  | "deadline"
  /** The caller's signal. */
  | "aborted"
  /** No answer, or one that broke off: refused, reset, DNS, TLS, not HTTP. */
  | "connection"
  /** HTTP 5xx. */
  | "server-error"
  /** HTTP 429. */
  | "throttled"
  /** Any other than those above and 200. */
  | "unexpected-status";
