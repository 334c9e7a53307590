/** How much taking images may use of the network and of others' servers. */
export interface FetchLimits {
  /** At a time, of all hosts. */
  readonly inFlight: number;
  /** At a time, of each host. */
  readonly perHost: number;
  /** In the long run. One second's worth may be used at once after a rest. */
  readonly bytesPerSecond: number;
}

/** What is used of the limits. */
export interface FetchUse {
  readonly inFlight: number;
  /** Hosts without a fetch are not in it. */
  readonly byHost: ReadonlyMap<string, number>;
  /** Below 0: more was taken than the rate gives, since the size of an image is known when it is there. */
  readonly bytesLeft: number;
  /** The moment of `bytesLeft`, ms. */
  readonly at: number;
}

export type BeginVerdict =
  | { readonly kind: "begun" }
  /** A place has to come free first: of all, or of this host. */
  | { readonly kind: "full" | "host-full" }
  /** The rate is used up for so long, ms. */
  | { readonly kind: "wait"; readonly waitMs: number };

/** Nothing is used. `now` in ms, of any clock that does not go back. */
export function startUse({ bytesPerSecond }: FetchLimits, now: number): FetchUse {
  return { inFlight: 0, byHost: new Map(), bytesLeft: bytesPerSecond, at: now };
}

/** May a fetch from `host` begin? With the use as it is then. */
export function beginFetch(
  limits: FetchLimits,
  before: FetchUse,
  host: string,
  now: number,
): { readonly verdict: BeginVerdict; readonly use: FetchUse } {
  const use = refill(limits, before, now);
  const ofHost = use.byHost.get(host) ?? 0;
  if (use.inFlight >= limits.inFlight) return { verdict: { kind: "full" }, use };
  if (ofHost >= limits.perHost) return { verdict: { kind: "host-full" }, use };
  // Less than a byte is what is left of sums of fractions.
  if (use.bytesLeft < -0.5) {
    const waitMs = Math.ceil((-use.bytesLeft / limits.bytesPerSecond) * 1000);
    return { verdict: { kind: "wait", waitMs }, use };
  }
  const byHost = new Map(use.byHost).set(host, ofHost + 1);
  return { verdict: { kind: "begun" }, use: { ...use, inFlight: use.inFlight + 1, byHost } };
}

/** A fetch from `host` has ended, whatever came of it. */
export function endFetch(use: FetchUse, host: string): FetchUse {
  const left = (use.byHost.get(host) ?? 0) - 1;
  if (left < 0) return use;
  const byHost = new Map(use.byHost).set(host, left);
  if (left === 0) byHost.delete(host);
  return { ...use, inFlight: use.inFlight - 1, byHost };
}

/** So many bytes have come. */
export function spendBytes(limits: FetchLimits, before: FetchUse, count: number, now: number): FetchUse {
  const use = refill(limits, before, now);
  return { ...use, bytesLeft: use.bytesLeft - count };
}

function refill({ bytesPerSecond }: FetchLimits, use: FetchUse, now: number): FetchUse {
  const gained = (Math.max(now - use.at, 0) / 1000) * bytesPerSecond;
  return { ...use, bytesLeft: Math.min(use.bytesLeft + gained, bytesPerSecond), at: Math.max(now, use.at) };
}
