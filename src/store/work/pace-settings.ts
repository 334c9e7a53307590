/** The settings that leases need. */
export interface PaceSettings {
  /** The rate of instances that set none. */
  readonly requestsPerSecond: number;
  /** A call may be in flight for this long, ms: until then no later lease asks for its contact. */
  readonly inFlightMs: number;
}
