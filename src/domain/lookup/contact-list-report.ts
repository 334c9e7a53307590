import type { InstanceOutcome } from "../outcome.ts";

/**
 * What one getContacts told of an instance. The union is closed: an answer that fits nowhere is `unanswered`, and never
 * an empty list.
 */
export type ContactListReport =
  | {
      readonly kind: "contacts";
      /**
       * In the order of the list, as the provider wrote them, whatever they are: chats of every kind. Empty where an entry
       * has none, so that an id's index is its entry's. Names are not kept.
       */
      readonly ids: readonly string[];
    }
  /** The call itself was refused in one of the ways that getAvatar is refused in. */
  | { readonly kind: "refused"; readonly outcome: RefusedOutcome }
  | {
      readonly kind: "throttled";
      /** From Retry-After (seconds or date), never negative. */
      readonly retryAfterMs: number | undefined;
    }
  /**
   * Nothing that speaks of the instance. `code`: `DEADLINE`, `ABORTED`, `HTTP_503` and the like, `NOT_UNDERSTOOD` for
   * a 200 that is no list or too large, or what undici or Node calls it, e.g. `ECONNREFUSED`.
   */
  | { readonly kind: "unanswered"; readonly code: string };

/** What is wrong with the instance. */
export type RefusedOutcome = Exclude<InstanceOutcome, { kind: "throttled" }>;
