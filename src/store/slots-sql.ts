/** Which parameters of a statement say what its slots depend on. */
export interface SlotParameters {
  /** PaceSettings.marginMs, e.g. `$5`. */
  readonly marginMs: string;
  /** Who reserves. */
  readonly laneId: string;
  /** What it keeps from the slots of another lane. */
  readonly laneGapMs: string;
}

/**
 * Two columns of a select from the locked row `i` of an instance with its `rate`: `spacing_ms`, the same as
 * domain/pacer.ts has it, and `slots_from`, the first free moment.
 */
export function toSlotColumns({ marginMs, laneId, laneGapMs }: SlotParameters): string {
  return `(1000 + ${marginMs}::float8) / least(i.rate, greatest(1, floor(i.rate))) as spacing_ms,
    greatest(
      -- A clock that was set back must not stop the instance for as long.
      least(i.next_call_at, clock_timestamp() + interval '1 minute')
        + case when i.paced_by = ${laneId} then 0 else ${laneGapMs}::float8 end * interval '1 ms',
      clock_timestamp()
    ) as slots_from`;
}
