import { sleep } from "./deadline.ts";

export interface TurnPorts {
  /** Reserves the next turn. Returns how many ms to wait for it. */
  readonly reserve: () => Promise<number>;
  /** The process's monotonic clock, in ms. */
  readonly clock: { now(): number };
  readonly signal: AbortSignal;
}

/** A call that goes later than this after its turn might meet the next one within a second. */
const toleranceMs = 80;
/** A slow database, or machine, that never keeps to that: then the provider may refuse the call. */
const mostTurns = 4;

/**
 * Waits for the turn of a call that is allowed once a second over all processes. Returns early when the signal is aborted. A
 * turn that was missed is reserved anew.
 * @throws whatever `reserve` throws
 */
export async function waitForTurn({ reserve, clock, signal }: TurnPorts): Promise<void> {
  for (let turns = 1; turns <= mostTurns && !signal.aborted; turns += 1) {
    const askedAt = clock.now();
    const waitMs = await reserve();
    await sleep(waitMs, signal);
    if (clock.now() - askedAt - waitMs <= toleranceMs) return;
  }
}
