/** What the claim needs to know of the settings. */
export interface PaceSettings {
  /** For an instance that sets none. */
  readonly requestsPerSecond: number;
  /** The share of the calls, from 0 to 1, that goes to whatever has been due for longest, whatever its priority. */
  readonly oldestShare: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** A claim that is not extended is void after this long. */
  readonly claimLeaseMs: number;
}
