import type { ChatId } from "./chat-id.ts";

/**
 * What one getAvatar call told us. `scope` is whom it speaks of:
 * `chat` this contact alone, `instance` the whole account, `call` this attempt alone (which says
 * nothing sure of either, and in numbers speaks against the instance).
 *
 * The union is closed: what fits nowhere is `unclear`, never a guess.
 */
export type Outcome = ChatOutcome | InstanceOutcome | CallOutcome | NotSent;

/** No byte of the request has left, so that nothing is spent: its moment had passed, or the process stops. */
export interface NotSent {
  readonly kind: "not-sent";
  /** It speaks of nothing. */
  readonly scope?: never;
}

export type ChatOutcome =
  | {
      readonly kind: "present";
      readonly scope: "chat";
      /** `https://…`, or a `data:image/…` URI from compatible servers. Undefined: the answer has the image alone. */
      readonly url: string | undefined;
      /** The image itself, where the answer has it: raw base64 or a `data:` URI, not looked at beyond its first characters. */
      readonly base64?: string | undefined;
      /** The `oe` parameter (hex UNIX seconds); undefined where the URL carries none. May lie in the past. */
      readonly urlExpiresAt: Date | undefined;
      /** The same for two URLs of one picture, where URLs tell it: avatar-version.ts. */
      readonly version: string;
    }
  | { readonly kind: "absent"; readonly scope: "chat" }
  /** `told: false` where the answer does not tell "none" from "hidden" (older API without `available`). */
  | { readonly kind: "hidden"; readonly scope: "chat"; readonly told: boolean }
  | { readonly kind: "invalid"; readonly scope: "chat" }
  /** WhatsApp did not answer the provider in time. */
  | { readonly kind: "chat-timeout"; readonly scope: "chat" }
  /** HTTP 499: the provider saw us hang up. */
  | { readonly kind: "client-closed"; readonly scope: "chat" };

export type InstanceOutcome =
  | {
      readonly kind: "throttled";
      readonly scope: "instance";
      /** From Retry-After (seconds or date), never negative. */
      readonly retryAfterMs: number | undefined;
      readonly by: "provider" | "whatsapp";
    }
  /** Wrong token, id or host: HTTP 401, 403, or a 401 disguised in a 200. */
  | { readonly kind: "unauthorized"; readonly scope: "instance"; readonly status: number }
  /** HTTP 404: a wrong path, or a broken instance. */
  | { readonly kind: "not-found"; readonly scope: "instance" }
  | { readonly kind: "starting"; readonly scope: "instance" }
  /** Logged out, or still starting: the text does not tell. */
  | { readonly kind: "not-authorized"; readonly scope: "instance" }
  | { readonly kind: "blocked"; readonly scope: "instance" }
  | { readonly kind: "expired"; readonly scope: "instance" }
  | { readonly kind: "deleted"; readonly scope: "instance" }
  | {
      readonly kind: "quota-exhausted";
      readonly scope: "instance";
      readonly quota: "method" | "correspondents";
      /** With `correspondents`: the chats that still work. Other people's ids: never log them. */
      readonly allowedChatIds: readonly ChatId[];
    };

export type CallOutcome =
  | { readonly kind: "server-error"; readonly scope: "call"; readonly status: number }
  /** No answer at all: refused, reset, DNS, TLS. `code` is undici's or Node's, e.g. `ECONNREFUSED`. */
  | { readonly kind: "network-error"; readonly scope: "call"; readonly code: string }
  /** Our own deadline passed. */
  | { readonly kind: "deadline"; readonly scope: "call"; readonly afterMs: number }
  /** Something that we do not understand. The excerpt is short and holds no token and no long number. */
  | {
      readonly kind: "unclear";
      readonly scope: "call";
      readonly status: number;
      readonly excerpt: string;
    };

/** One finished lookup: the outcome, and how long the provider took in ms. */
export interface Lookup {
  readonly outcome: Outcome;
  readonly tookMs: number;
}

/** Where and as whom to call GREEN-API. `token` must not leave the process but in the request itself (I7). */
export interface InstanceCredentials {
  readonly instanceId: string;
  /** Without a trailing slash, e.g. `https://7103.api.greenapi.com`. */
  readonly apiUrl: string;
  readonly token: string;
}
