/** What the claim needs to know of the settings. */
export interface PaceSettings {
  /** For an instance that sets none. */
  readonly requestsPerSecond: number;
  /** Calls in flight at most, for an instance that sets none. */
  readonly maxInFlightFor: (requestsPerSecond: number) => number;
  /** Added to each full second of slots (domain/pacer.ts). */
  readonly marginMs: number;
  /** A claim that is not extended is void after this long. */
  readonly claimLeaseMs: number;
}
