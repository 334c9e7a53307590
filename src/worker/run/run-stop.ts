import type { ClaimRefusal } from "../../domain/lookup/claim.ts";
import { sleep } from "../../lib/deadline.ts";
import type { Lane } from "./lane.ts";

/** Why a run ended. Only after `sliced` does work surely remain. */
export type RunEnd = ClaimRefusal | "sliced" | "stopped";

/** The stop of a run before its work is done: for its process, or for trouble of its instance. */
export interface RunStop {
  /** Aborted when the process stops, and when the run is over. */
  readonly signal: AbortSignal;
  /** Why the run must end; undefined: it may go on. */
  findReason(): "stopped" | "held" | undefined;
  /** Waits until `event` has happened, `ms` are over, or the signal is aborted. */
  waitFor(event: Promise<void>, ms: number): Promise<void>;
  /** The run is over: a claim that waits for room must not go on waiting. */
  end(): void;
}

/** While no call is sent for so long, a run looks whether its instance is held, paused, or set otherwise. */
export const lookEveryMs = 1_000;

/** @param stopping of the process */
export function createRunStop(lane: Pick<Lane, "epoch">, stopping: AbortSignal): RunStop {
  const { epoch } = lane;
  const ending = new AbortController();
  const signal = AbortSignal.any([stopping, ending.signal]);
  return {
    signal,
    findReason() {
      if (signal.aborted) return "stopped";
      return lane.epoch === epoch ? undefined : "held";
    },
    async waitFor(event, ms) {
      const waited = new AbortController();
      await Promise.race([event, sleep(ms, AbortSignal.any([waited.signal, signal]))]);
      waited.abort();
    },
    end: () => ending.abort(),
  };
}
