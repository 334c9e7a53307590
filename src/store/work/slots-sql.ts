import { laneGapMs } from "../../domain/pace/pacer.ts";
import { leastMarginMs, marginDecayPerMinute } from "../../domain/pace/refusal-constants.ts";
import { toCallsAllowed, toMarginMs } from "./pace-sql.ts";

/**
 * Columns of a select from the row `i` of an instance: `rate`, its calls per second now, and `margin`, ms.
 * @param defaultRate the rate of instances that set none, e.g. `$5`
 */
export function toPaceColumns(defaultRate: string): string {
  return `${toCallsAllowed("i", defaultRate)} as rate, ${toMarginMs("i")} as margin`;
}

/**
 * Columns of a select from the locked row `i` of an instance with its pace. `spacing_ms` is what domain/pace/pacer.ts has,
 * `slots_from` the first free moment.
 * @param laneId the lane that reserves, e.g. `$3`
 */
export function toSlotColumns(laneId: string): string {
  return `(1000 + i.margin) / least(i.rate, greatest(1, floor(i.rate))) as spacing_ms,
    greatest(
      -- A clock that was set back must not stop the instance for as long.
      least(i.next_call_at, clock_timestamp() + interval '1 minute')
        + case when i.paced_by = ${laneId} then 0 else ${laneGapMs} end * interval '1 ms',
      clock_timestamp()
    ) as slots_from`;
}

/**
 * The settings of row `i` that reserve `calls` slots, from the columns above in `s`. The margin shrinks with time spent on
 * calls, not with time that passes: a night without calls teaches nothing.
 */
export function toReservation(calls: string, laneId: string): string {
  const decay = `${marginDecayPerMinute} * ${calls} * s.spacing_ms / 60000`;
  return `next_call_at = s.slots_from + ${calls} * s.spacing_ms * interval '1 ms', paced_by = ${laneId},
    margin_ms = greatest(${leastMarginMs}, s.margin * (1 - least(0.5, ${decay})))`;
}
