import type { InstanceOutcome } from "../outcome.ts";

/**
 * What getStateInstance told of an instance. The union is closed: an answer that fits nowhere is `unanswered`,
 * never a guess. Reports are sometimes wrong: a successful getAvatar overrules them (provider contract, Instance state).
 */
export type StateReport =
  | {
      readonly kind: "state";
      /** As the provider wrote it: 1 to 40 letters. */
      readonly state: string;
      readonly verdict: StateVerdict;
    }
  /** The call itself was refused in one of the ways that getAvatar is refused in. */
  | { readonly kind: "refused"; readonly outcome: InstanceOutcome }
  | {
      readonly kind: "throttled";
      /** From Retry-After (seconds or date), never negative. */
      readonly retryAfterMs: number | undefined;
    }
  /**
   * Nothing that speaks of the instance. `code`: `DEADLINE`, `ABORTED`, `HTTP_503` and the like, `NOT_UNDERSTOOD` for
   * a 200 without a state, or what undici or Node calls it, e.g. `ECONNREFUSED`.
   */
  | { readonly kind: "unanswered"; readonly code: string };

/**
 * `works`: getAvatar may be called; `waits`: it will be by itself; `needs-person`: not before a person acts;
 * `unknown`: a word that no documentation names, so that only trying tells.
 */
export type StateVerdict = "works" | "waits" | "needs-person" | "unknown";

/** https://green-api.com/en/docs/api/account/GetStateInstance, in small letters. */
const verdicts: ReadonlyMap<string, StateVerdict> = new Map([
  ["authorized", "works"],
  // Sending is restricted; reading probably is not. `suspended` took the place of `yellowCard` in July 2026.
  ["suspended", "works"],
  ["yellowcard", "works"],
  ["starting", "waits"],
  ["sleepmode", "waits"],
  ["notauthorized", "needs-person"],
  ["blocked", "needs-person"],
  ["pendingcode", "needs-person"],
  ["pendingpassword", "needs-person"],
]);

/** What a state means for us, without regard to letter case. Pure and total. */
export function judgeState(state: string): StateVerdict {
  return verdicts.get(state.toLowerCase()) ?? "unknown";
}
