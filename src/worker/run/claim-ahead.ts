import type { Claim } from "../../domain/lookup/claim.ts";
import { defaultMaxInFlight } from "../../domain/pace/max-in-flight.ts";
import type { Lane } from "./lane.ts";
import { lookEveryMs, type RunStop, type RunEnd } from "./run-stop.ts";
import type { RunClaims } from "./run-claims.ts";
import type { Slice } from "./slice.ts";
import type { UnsentClaims } from "./unsent-claims.ts";

export interface ClaimAheadPorts {
  readonly lane: Lane;
  readonly claims: RunClaims;
  readonly unsent: UnsentClaims;
  readonly slice: Slice;
  readonly stop: RunStop;
  /** Calls in flight at most, for an instance that sets none; undefined: from its rate and the time of its answers. */
  readonly maxInFlight: number | undefined;
}

/** The claims of one run, one after the other: each is under way while the end of the one before is being sent. */
export interface ClaimAhead {
  /** The next claim, or why the run ends. Waits for room, and for a claim that is under way. */
  next(): Promise<Claim | RunEnd>;
  /** Begins the next claim. Its failure is met when its turn comes. */
  begin(): void;
  /** Waits until no claim is under way. */
  settle(): Promise<void>;
}

/** The next claim is sent this long before the end of the last one, at least. */
const leastClaimAheadMs = 100;

export function createClaimAhead(ports: ClaimAheadPorts): ClaimAhead {
  const { lane, claims, unsent, slice, stop } = ports;
  let upcoming: Promise<Claim | RunEnd> | undefined;

  /** How many more calls may be in flight, as the instance is set by the latest answer. */
  function countRoom(): number {
    const { requestsPerSecond = 1, maxInFlight = ports.maxInFlight } = claims.instance ?? {};
    const most = maxInFlight ?? defaultMaxInFlight(requestsPerSecond, lane.calls.meanLatencyMs);
    return most - lane.calls.inFlight - unsent.size;
  }

  /** A new run does not know how much room the calls of the run before leave. */
  const isRoomKnown = () => claims.instance !== undefined || lane.calls.inFlight === 0;

  async function claimNext(): Promise<Claim | RunEnd> {
    for (;;) {
      const end = stop.findReason() ?? ((await slice.isOver()) ? "sliced" : undefined);
      if (end) return end;
      const room = countRoom();
      if (isRoomKnown() && room >= 1) return claims.claim(room);
      const refusal = await waitForRoom();
      if (refusal) return refusal;
    }
  }

  /** Returns early where there is room. Full for long: the instance may be set otherwise by now. */
  async function waitForRoom(): Promise<RunEnd | undefined> {
    if (isRoomKnown()) {
      await stop.waitFor(lane.calls.nextEnd(), lookEveryMs);
      if (countRoom() >= 1) return undefined;
    }
    return claims.lookAtInstance();
  }

  return {
    async next() {
      const claimed = await (upcoming ?? claimNext());
      upcoming = undefined;
      return claimed;
    },
    begin() {
      upcoming = claimNext();
      // Until its turn comes its failure must not count as unhandled.
      upcoming.catch(() => undefined);
    },
    async settle() {
      await upcoming?.catch(() => undefined);
    },
  };
}

/**
 * The place of the contact before which the next claim is begun, so that no slot passes unused; undefined: the next claim waits
 * until all have been sent. Pure.
 * @param takesMs how long claims take: a slow database is asked earlier
 */
export function findBeginAt({ instance, contacts }: Claim, takesMs: number): number | undefined {
  // A probe is alone. A lone contact has its slot so far ahead that there is time enough afterwards.
  if (instance.probing || contacts.length <= 1) return undefined;
  const aheadMs = Math.max(leastClaimAheadMs, 3 * takesMs);
  const ahead = Math.max(1, Math.ceil((instance.requestsPerSecond * aheadMs) / 1000));
  return Math.max(0, contacts.length - ahead);
}
