import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { Claim, ClaimedInstance, ClaimRefusal, ClaimResult } from "../../domain/lookup/claim.ts";
import { slotSpacingMs, type Pace } from "../../domain/pace/pacer.ts";
import type { Clock } from "./clocks.ts";
import type { Lane } from "./lane.ts";
import type { UnsentClaims } from "./unsent-claims.ts";

export interface RunClaimsPorts {
  readonly ledger: Pick<RunLedger, "claimDueContacts">;
  readonly clock: Clock;
  readonly lane: Lane;
  readonly unsent: UnsentClaims;
  readonly runId: string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** The claims of one run, and what their answers tell of the instance. */
export interface RunClaims {
  /** The instance as the latest answer told; a new run knows nothing yet. */
  readonly instance: ClaimedInstance | undefined;
  /** How long the ledger takes to answer, ms: the slowest of late. */
  readonly takesMs: number;
  /**
   * Claims due contacts, with a slot for each.
   * @param room for calls, at least one. The first claim takes a single contact: how much room there is, its answer tells.
   */
  claim(room: number): Promise<Claim | ClaimRefusal>;
  /** Looks how the instance is set, and claims nothing. Returns why no call may be sent; undefined: calls may. */
  lookAtInstance(): Promise<ClaimRefusal | undefined>;
}

/** A claim covers this much time: with `leastClaimAheadMs` the longest that something urgent waits until it is claimed. */
const claimWindowMs = 600;
const maxClaim = 500;

export function createRunClaims({ ledger, clock, lane, unsent, runId, random }: RunClaimsPorts): RunClaims {
  let instance: ClaimedInstance | undefined;
  let takesMs = 0;
  let isOutOfStep = false;

  /** Asks the ledger, and notes what the answer tells. */
  async function ask(limit: number): Promise<ClaimResult & { readonly sentAt: number }> {
    const sentAt = clock.now();
    const request = { instanceId: lane.instanceId, runId, laneId: lane.id, limit, windowMs: claimWindowMs };
    const result = await ledger.claimDueContacts(request);
    if (result.kind === "claimed") {
      takesMs = Math.max(clock.now() - sentAt, takesMs * 0.9);
      ({ instance } = result.claim);
    }
    return { ...result, sentAt };
  }

  /**
   * Instances that are woken together would go on in step: hundreds of calls in one moment and none in the next. Each run that has
   * more than a call to send begins somewhere within a slot.
   */
  function leaveStep(pace: Pace): void {
    if (isOutOfStep) return;
    isOutOfStep = true;
    lane.slots.notBefore(clock.now() + random() * slotSpacingMs(pace));
  }

  return {
    get instance() {
      return instance;
    },
    get takesMs() {
      return takesMs;
    },
    async claim(room) {
      const result = await ask(instance ? Math.min(room, maxClaim) : 1);
      if (result.kind !== "claimed") return result.kind;
      const { claim, sentAt } = result;
      unsent.add(claim.contacts);
      lane.slots.add(claim, claim.instance, sentAt, clock.now());
      if (claim.contacts.length > 1) leaveStep(claim.instance);
      return claim;
    },
    async lookAtInstance() {
      const { kind } = await ask(0);
      return kind === "claimed" ? undefined : kind;
    },
  };
}
