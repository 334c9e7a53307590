import type { ChatId } from "./chat-id.ts";

/** What a notification of the provider tells, as far as it matters here; nothing else of it is kept. */
export type Signal = {
  /** The instance that it says it is of; undefined: it does not say. */
  readonly instanceId: string | undefined;
} & (
  | { readonly kind: "chat"; readonly chatId: ChatId }
  /** The account has logged in: a hold may be over. */
  | { readonly kind: "authorized" }
  | { readonly kind: "nothing" }
);

/**
 * What became of a chat that a signal named. `added`: it was not known, and is asked for before all imports. `refreshed`: its
 * answer was old, and is asked for again behind them. `known`: nothing is to be done. `erased`: it was erased not long ago, and
 * is not brought back.
 */
export const signalOutcomes = ["added", "refreshed", "known", "erased"] as const;
export type SignalOutcome = (typeof signalOutcomes)[number];
