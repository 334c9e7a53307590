import { ticksPerDay } from "./simulate.ts";
import type { Worth } from "./highest-first.ts";
import { worthOfLook } from "./worth.ts";

/** Somebody who knows how often each avatar changes, and still not when. */
export function knowRates(rates: Float64Array): Worth {
  return { at: (contact, ticks) => worthOfLook(rates[contact]!, ticks / ticksPerDay), learn() {} };
}
