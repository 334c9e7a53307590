import { randomUUID } from "node:crypto";
import type { Claim, ClaimedContact, ClaimedInstance, ClaimRefusal } from "../../domain/lookup/claim.ts";
import { defaultMaxInFlight } from "../../domain/pace/max-in-flight.ts";
import type { ClaimFence, RunLedger } from "../../domain/ledger/run-ledger.ts";
import { slotSpacingMs, type Pace } from "../../domain/pace/pacer.ts";
import { sleep } from "../../lib/deadline.ts";
import type { Clock } from "./clocks.ts";
import type { TakenSlot } from "./lane-slots.ts";
import type { Lane } from "./lane.ts";

export interface RunSettings {
  /** A run hands over to the next instance after this long, if one waits. */
  readonly sliceMs: number;
  /** Calls in flight at most, for an instance that sets none; undefined: from its rate and the time of its answers. */
  readonly maxInFlight: number | undefined;
}

export interface RunPorts {
  readonly ledger: RunLedger;
  readonly clock: Clock;
  readonly settings: RunSettings;
  /** Does any instance wait for its turn? */
  readonly othersWait: () => Promise<boolean>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /**
   * Sends the call for a contact whose slot has come; its end is the lane's business, not the run's. Resolves when all
   * that follows from it is done.
   */
  readonly call: (lane: Lane, call: Call) => Promise<void>;
}

/** One call, about to be sent. */
export interface Call {
  readonly runId: string;
  readonly contact: ClaimedContact;
  readonly instance: ClaimedInstance;
  /** By the database's clock. */
  readonly askedAtMs: number;
  /** To be called when the request is on its way. */
  readonly onSent: () => void;
}

/** Why a run ended. Only after `sliced` does work surely remain. */
export type RunEnd = ClaimRefusal | "sliced" | "stopped";

/**
 * A claim covers this much time, and the next one is sent this long before its end: together the longest that something
 * urgent waits until it is claimed.
 */
const claimWindowMs = 600;
const leastClaimAheadMs = 100;
const maxClaim = 500;
const slowDatabasePauseMs = 250;
/** While no call is sent for longer than this, a run looks whether the instance is held, paused, or set otherwise. */
const lookEveryMs = 1_000;
/** As many slices at most where nobody waits: then the process that has least to do may take over. */
const maxSlices = 10;

/**
 * Works on one instance until its slice is over and others wait, nothing is due, or it must not be called: claims due
 * contacts in small batches, each with its call slots, and sends each call in its slot. The next claim is
 * under way while the end of the last one is being sent, so that no slot passes unused. Contacts that
 * were claimed and not sent are given back.
 *
 * @throws what the ledger throws when Postgres is away; claims then expire by themselves
 */
export async function runInstance(ports: RunPorts, lane: Lane, signal: AbortSignal): Promise<RunEnd> {
  const { ledger, clock, settings } = ports;
  const runId = randomUUID();
  const startedAt = clock.now();
  let sliceEndsAt = startedAt + settings.sliceMs;
  const epochAtStart = lane.epoch;
  const unsent = new Map<ClaimedContact, ClaimFence>();
  /** As the latest claim found it; a new run knows nothing yet. */
  let instance: ClaimedInstance | undefined;
  /** How long claims take: the slowest of late. */
  let claimTakesMs = 0;
  let isOutOfStep = false;
  /** Why no call may be sent for what is claimed already. */
  let refusal: RunEnd = "held";
  let upcoming: Promise<Claim | RunEnd> | undefined;
  /** The run is over: a claim that waits for room must not go on waiting. */
  const ending = new AbortController();
  const stop = AbortSignal.any([signal, ending.signal]);

  const mustEnd = (): RunEnd | undefined => {
    if (stop.aborted) return "stopped";
    return lane.epoch === epochAtStart ? undefined : "held";
  };

  /** Is there room for calls? As many may be in flight as the instance says, by the latest claim. */
  const getCapacity = () => {
    const { requestsPerSecond = 1, maxInFlight = settings.maxInFlight } = instance ?? {};
    const most = maxInFlight ?? defaultMaxInFlight(requestsPerSecond, lane.calls.meanLatencyMs);
    return most - lane.calls.inFlight - unsent.size;
  };

  /** The slice is over, and another instance wants its turn, or another process may want this one. */
  async function isSliceOver(): Promise<boolean> {
    if (clock.now() < sliceEndsAt) return false;
    if (clock.now() >= startedAt + maxSlices * settings.sliceMs || (await ports.othersWait())) return true;
    sliceEndsAt = clock.now() + settings.sliceMs;
    return false;
  }

  async function claimNext(): Promise<Claim | RunEnd> {
    for (;;) {
      const end = mustEnd() ?? ((await isSliceOver()) ? "sliced" : undefined);
      if (end) return end;
      const capacity = getCapacity();
      const isKnown = instance !== undefined || lane.calls.inFlight === 0;
      // How much room there is, the first claim tells.
      if (isKnown && capacity >= 1) return claim(instance ? Math.min(capacity, maxClaim) : 1);
      // Full, also of calls of the run before this one: the instance may be set otherwise by now.
      if (isKnown) await waitFor(lane.calls.nextEnd(), lookEveryMs);
      const refused = getCapacity() < 1 || !isKnown ? await claim(0) : undefined;
      if (typeof refused === "string") return refused;
    }
  }

  /** Waits until it has happened, the run must stop, or `ms` are over. */
  async function waitFor(event: Promise<void>, ms: number): Promise<void> {
    const waited = new AbortController();
    await Promise.race([event, sleep(ms, AbortSignal.any([waited.signal, stop]))]);
    waited.abort();
  }

  /**
   * Instances that are woken together would go on in step, with hundreds of calls in one moment and none in the next. Each
   * run that has more than a call to send begins somewhere within a slot.
   */
  function leaveStep(pace: Pace): void {
    if (isOutOfStep) return;
    isOutOfStep = true;
    lane.slots.notBefore(clock.now() + ports.random() * slotSpacingMs(pace));
  }

  /** Sent, or to be given back. */
  function forget(contact: ClaimedContact): void {
    const fence = unsent.get(contact);
    if (fence) lane.unsent.delete(fence);
    unsent.delete(contact);
  }

  async function claim(limit: number): Promise<Claim | RunEnd> {
    const sentAt = clock.now();
    const request = { instanceId: lane.instanceId, runId, laneId: lane.id, limit, windowMs: claimWindowMs };
    const result = await ledger.claimDueContacts(request);
    if (result.kind !== "claimed") return result.kind;
    claimTakesMs = Math.max(clock.now() - sentAt, claimTakesMs * 0.9);
    instance = result.claim.instance;
    for (const contact of result.claim.contacts) {
      const fence = { contactId: contact.contactId, runId };
      unsent.set(contact, fence);
      lane.unsent.add(fence);
    }
    if (limit > 0) lane.slots.add(result.claim, instance, sentAt, clock.now());
    if (result.claim.contacts.length > 1) leaveStep(instance);
    return result.claim;
  }

  /**
   * Waits for the next slot and takes it, reserving anew where the reserved ones have gone by. Undefined: no call may
   * be sent.
   */
  async function takeNextSlot(): Promise<TakenSlot | undefined> {
    for (;;) {
      await waitUntilResumed();
      if (mustEnd()) return undefined;
      const at = lane.slots.nextAt();
      if (at === undefined) {
        const sentAt = clock.now();
        const request = { instanceId: lane.instanceId, laneId: lane.id, calls: unsent.size };
        const reservation = await ledger.reserveCalls(request);
        if (reservation === undefined) return undefined;
        lane.slots.add(reservation, reservation.pace, sentAt, clock.now());
        // The database is too slow for its slots to be of use: asking it again at once would not make it faster.
        if (lane.slots.nextAt() === undefined) await sleep(slowDatabasePauseMs, signal);
        continue;
      }
      const waitMs = at - clock.now();
      if (waitMs <= 0) return lane.slots.take();
      await sleep(Math.min(waitMs, lookEveryMs), signal);
      const look = waitMs > lookEveryMs ? await claim(0) : undefined;
      if (typeof look === "string") {
        refusal = look;
        return undefined;
      }
    }
  }

  /** Whether the instance is in trouble is being found out: what follows depends on it. */
  async function waitUntilResumed(): Promise<void> {
    for (let resumed = lane.whenResumed(); resumed && !mustEnd(); resumed = lane.whenResumed()) {
      await waitFor(resumed, lookEveryMs);
    }
  }

  async function sendAll({ instance: claimed, contacts }: Claim): Promise<boolean> {
    // A slow database is asked earlier: no slot passes unused.
    const aheadMs = Math.max(leastClaimAheadMs, 3 * claimTakesMs);
    const ahead = Math.max(1, Math.ceil((claimed.requestsPerSecond * aheadMs) / 1000));
    const prefetchAt = Math.max(0, contacts.length - ahead);
    for (const [index, contact] of contacts.entries()) {
      // A lone one has its slot so far ahead that there is time enough afterwards.
      if (index === prefetchAt && contacts.length > 1 && !claimed.probing) {
        upcoming = claimNext();
        // Its failure is met when its turn comes; until then it must not count as unhandled.
        upcoming.catch(() => undefined);
      }
      const slot = await takeNextSlot();
      if (slot === undefined) return false;
      forget(contact);
      const answered = ports.call(lane, { runId, contact, instance: claimed, ...slot });
      // A probe is alone: what comes next depends on its answer.
      if (claimed.probing) await waitFor(answered, settings.sliceMs);
    }
    return true;
  }

  try {
    for (;;) {
      const claimed = await (upcoming ?? claimNext());
      upcoming = undefined;
      if (typeof claimed === "string") return claimed;
      if (!(await sendAll(claimed))) return mustEnd() ?? refusal;
    }
  } finally {
    ending.abort();
    await upcoming?.catch(() => undefined);
    const fences = [...unsent.values()];
    for (const contact of unsent.keys()) forget(contact);
    await ledger.releaseClaims(fences);
  }
}
