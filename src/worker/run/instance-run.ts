import { randomUUID } from "node:crypto";
import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { Call } from "./call.ts";
import { createClaimAhead, findBeginAt } from "./claim-ahead.ts";
import type { Clock } from "./clocks.ts";
import type { Lane } from "./lane.ts";
import { createRunClaims } from "./run-claims.ts";
import { createRunStop, type RunEnd } from "./run-stop.ts";
import { beginSlice } from "./slice.ts";
import { takeNextSlot } from "./take-next-slot.ts";
import { createUnsentClaims } from "./unsent-claims.ts";

export interface RunSettings {
  /** A run hands over to the next instance after this long, if one waits. */
  readonly sliceMs: number;
  /** Calls in flight at most, for an instance that sets none; undefined: from its rate and the time of its answers. */
  readonly maxInFlight: number | undefined;
}

export interface RunPorts {
  readonly ledger: Pick<RunLedger, "claimDueContacts" | "reserveCalls" | "releaseClaims">;
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
  readonly call: (call: Call) => Promise<void>;
}

/**
 * Works on one instance: claims due contacts in small batches, each with its call slots, and sends each call in its slot. While the
 * end of a claim is sent the next one is under way, so that no slot passes unused. The run ends when nothing is due or the instance
 * must not be called, or when the slice is over and other instances wait. It gives back the contacts that were claimed and not
 * sent.
 *
 * @throws what the ledger throws when Postgres is away; claims then expire by themselves
 */
export async function runInstance(ports: RunPorts, lane: Lane, stopping: AbortSignal): Promise<RunEnd> {
  const { ledger, clock, settings, random } = ports;
  const runId = randomUUID();
  const stop = createRunStop(lane, stopping);
  const slice = beginSlice(clock, settings.sliceMs, ports.othersWait);
  const unsent = createUnsentClaims(lane, runId);
  const claims = createRunClaims({ ledger, clock, lane, unsent, runId, random });
  const { maxInFlight } = settings;
  const ahead = createClaimAhead({ lane, claims, unsent, slice, stop, maxInFlight });
  try {
    for (;;) {
      const claim = await ahead.next();
      if (typeof claim === "string") return claim;
      const { instance, contacts } = claim;
      const beginAt = findBeginAt(claim, claims.takesMs);
      for (const [index, contact] of contacts.entries()) {
        if (index === beginAt) ahead.begin();
        const slot = await takeNextSlot({ ledger, clock, lane, claims, stop, unsent });
        if (typeof slot === "string") return stop.findReason() ?? slot;
        unsent.remove(contact);
        const answered = ports.call({ runId, contact, instance, ...slot });
        // A probe is alone: what comes next depends on its answer.
        if (instance.probing) await stop.waitFor(answered, settings.sliceMs);
      }
    }
  } finally {
    stop.end();
    await ahead.settle();
    await ledger.releaseClaims(unsent.takeAll());
  }
}
