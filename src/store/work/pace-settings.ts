/** The settings that the claim needs. */
export interface PaceSettings {
  /** The rate of instances that set none. */
  readonly requestsPerSecond: number;
  /** The share of the calls, from 0 to 1, for contacts that have been due for longest, whatever their priority. */
  readonly oldestShare: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** A claim that is not extended is void after this long. */
  readonly claimLeaseMs: number;
}
