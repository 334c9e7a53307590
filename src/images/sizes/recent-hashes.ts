/** Hashes that are remembered for a while: of too many the oldest are forgotten. */
export interface RecentHashes {
  /** The moment in ms until which each is remembered, the oldest first. */
  readonly until: Map<string, number>;
  readonly keepMs: number;
  readonly most: number;
}

export function isRemembered({ until }: RecentHashes, hash: string, now: number): boolean {
  return (until.get(hash) ?? Number.NEGATIVE_INFINITY) > now;
}

export function remember({ until, keepMs, most }: RecentHashes, hash: string, now: number): void {
  until.delete(hash);
  until.set(hash, now + keepMs);
  for (const [oldest, end] of until) {
    if (until.size <= most && end > now) break;
    until.delete(oldest);
  }
}
