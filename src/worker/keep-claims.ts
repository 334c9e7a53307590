import type { ClaimFence, RunLedger } from "../domain/ledger/run-ledger.ts";

export interface KeptClaimsPorts {
  readonly ledger: Pick<RunLedger, "extendClaims">;
  readonly leaseMs: number;
  /** The claims of calls in flight that are older than this, and all those that wait. */
  readonly listClaims: (olderThanMs: number) => readonly ClaimFence[];
  readonly onError: (error: unknown) => void;
}

/** Claims younger than this share of their lease need no extension. */
const extendEvery = 3;

/**
 * Extends claims until the returned function is called: a call may take longer than its claim's lease, which stays short so that
 * a dead process costs little.
 */
export function keepClaims({ ledger, leaseMs, listClaims, onError }: KeptClaimsPorts): () => void {
  const everyMs = leaseMs / extendEvery;
  const timer = setInterval(() => {
    ledger.extendClaims(listClaims(everyMs / 2)).catch(onError);
  }, everyMs);
  return () => clearInterval(timer);
}
