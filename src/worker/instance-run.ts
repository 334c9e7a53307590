import { randomUUID } from "node:crypto";
import type { Claim, ClaimedContact, ClaimedInstance, ClaimRefusal } from "../domain/claim.ts";
import type { RunLedger } from "../domain/ledger.ts";
import type { Pace } from "../domain/pacer.ts";
import { sleep } from "../lib/deadline.ts";
import type { Clock } from "./clocks.ts";
import type { Lane } from "./lane.ts";

export interface RunSettings {
  /** A run hands over to the next instance after this long. */
  readonly sliceMs: number;
  readonly marginMs: number;
}

export interface RunPorts {
  readonly ledger: RunLedger;
  readonly clock: Clock;
  readonly settings: RunSettings;
  /** Sends the call for a contact whose slot has come; its end is the lane's business, not the run's. */
  readonly call: (lane: Lane, call: Call) => void;
}

/** One call, about to be sent. */
export interface Call {
  readonly runId: string;
  readonly contact: ClaimedContact;
  readonly instance: ClaimedInstance;
  /** By the database's clock. */
  readonly askedAtMs: number;
}

/** Why a run ended. Only after `sliced` does work surely remain. */
export type RunEnd = ClaimRefusal | "sliced" | "stopped";

/** A claim covers this much time: short, so that what is more urgent waits no longer for its turn. */
const claimWindowMs = 500;
const maxClaim = 500;
const slowDatabasePauseMs = 250;

/**
 * Works on one instance until its slice is over, nothing is due, or it must not be called: claims due
 * contacts in small batches, each with its call slots, and sends each call in its slot. The next claim is
 * under way while the second half of the last one is being sent, so that no slot passes unused. Contacts that
 * were claimed and not sent are given back.
 *
 * @throws what the ledger throws when Postgres is away; claims then expire by themselves
 */
export async function runInstance(ports: RunPorts, lane: Lane, signal: AbortSignal): Promise<RunEnd> {
  const { ledger, clock, settings } = ports;
  const runId = randomUUID();
  const sliceEndsAt = clock.now() + settings.sliceMs;
  const holdsAtStart = lane.holds;
  const unsent = new Set<ClaimedContact>();
  let rate = 1;
  let upcoming: Promise<Claim | RunEnd> | undefined;
  /** The run is over: a claim that waits for room must not go on waiting. */
  const ending = new AbortController();
  const stop = AbortSignal.any([signal, ending.signal]);

  const mustEnd = (): RunEnd | undefined => {
    if (stop.aborted) return "stopped";
    return lane.holds === holdsAtStart ? undefined : "held";
  };

  const toPace = (instance: ClaimedInstance): Pace => ({
    requestsPerSecond: instance.requestsPerSecond,
    marginMs: settings.marginMs,
  });

  async function claimNext(): Promise<Claim | RunEnd> {
    for (;;) {
      const end = mustEnd() ?? (clock.now() >= sliceEndsAt ? "sliced" : undefined);
      if (end) return end;
      const capacity = lane.maxInFlight - lane.inFlight - unsent.size;
      if (capacity >= 1) {
        const limit = Math.min(capacity, maxClaim, Math.max(1, Math.ceil((rate * claimWindowMs) / 1000)));
        return claim(limit);
      }
      await waitForEndOfCall(sliceEndsAt - clock.now());
    }
  }

  /** Waits until a call has ended, the run must stop, or `ms` are over. */
  async function waitForEndOfCall(ms: number): Promise<void> {
    const waited = new AbortController();
    await Promise.race([lane.nextEnd(), sleep(ms, AbortSignal.any([waited.signal, stop]))]);
    waited.abort();
  }

  async function claim(limit: number): Promise<Claim | RunEnd> {
    const sentAt = clock.now();
    const request = { instanceId: lane.instanceId, runId, laneId: lane.id, limit };
    const result = await ledger.claimDueContacts(request);
    if (result.kind !== "claimed") return result.kind;
    const { instance, contacts } = result.claim;
    for (const contact of contacts) unsent.add(contact);
    rate = instance.requestsPerSecond;
    lane.maxInFlight = instance.maxInFlight;
    lane.addSlots(result.claim, toPace(instance), sentAt, clock.now());
    return result.claim;
  }

  /**
   * Waits for the next slot and takes it, reserving anew where the reserved ones have gone by. Returns the moment by
   * the database's clock; undefined: no call may be sent.
   */
  async function takeNextSlot(instance: ClaimedInstance): Promise<number | undefined> {
    for (;;) {
      if (mustEnd()) return undefined;
      const at = lane.nextSlotAt();
      if (at === undefined) {
        const sentAt = clock.now();
        const request = { instanceId: lane.instanceId, laneId: lane.id, calls: unsent.size };
        const reservation = await ledger.reserveCalls(request);
        if (reservation === undefined) return undefined;
        lane.addSlots(reservation, toPace(instance), sentAt, clock.now());
        // The database is too slow for its slots to be of use: asking it again at once would not make it faster.
        if (lane.nextSlotAt() === undefined) await sleep(slowDatabasePauseMs, signal);
        continue;
      }
      const waitMs = at - clock.now();
      if (waitMs <= 0) return lane.takeSlot();
      await sleep(waitMs, signal);
    }
  }

  async function sendAll({ instance, contacts }: Claim): Promise<boolean> {
    const prefetchAt = Math.floor(contacts.length / 2);
    for (const [index, contact] of contacts.entries()) {
      if (index === prefetchAt && !instance.probing) {
        upcoming = claimNext();
        // Its failure is met when its turn comes; until then it must not count as unhandled.
        upcoming.catch(() => undefined);
      }
      const askedAtMs = await takeNextSlot(instance);
      if (askedAtMs === undefined) return false;
      unsent.delete(contact);
      ports.call(lane, { runId, contact, instance, askedAtMs });
    }
    return true;
  }

  try {
    for (;;) {
      const claimed = await (upcoming ?? claimNext());
      upcoming = undefined;
      if (typeof claimed === "string") return claimed;
      if (!(await sendAll(claimed))) return mustEnd() ?? "held";
      // A probe is alone: what comes next depends on its answer.
      while (claimed.instance.probing && lane.inFlight > 0 && !mustEnd())
        await waitForEndOfCall(settings.sliceMs);
    }
  } finally {
    ending.abort();
    await upcoming?.catch(() => undefined);
    await ledger.releaseClaims([...unsent].map(({ contactId }) => ({ contactId, runId })));
  }
}
