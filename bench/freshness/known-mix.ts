import type { Worth } from "./highest-first.ts";
import type { RateGrid } from "./mix.ts";
import { ticksPerDay } from "./simulate.ts";
import { worthOfLook } from "./worth.ts";

/**
 * Somebody who knows the mix that the rates are drawn from, and of a contact what its looks have told: a share of belief for
 * each rate of the grid, by Bayes, from the exact likelihood of "changed" or "not changed" after so much time.
 * @param mostTicks the longest time between two looks
 */
export function knowMix({ rates, weights }: RateGrid, contacts: number, mostTicks: number): Worth {
  const size = rates.length;
  const beliefs = new Float32Array(contacts * size);
  for (let contact = 0; contact < contacts; contact += 1) beliefs.set(weights, contact * size);
  // Looks are at full ticks: all that is ever needed, once.
  const worths = new Float64Array((mostTicks + 1) * size);
  const unchanged = new Float64Array((mostTicks + 1) * size);
  for (let ticks = 0; ticks <= mostTicks; ticks += 1) {
    const days = ticks / ticksPerDay;
    for (let index = 0; index < size; index += 1) {
      worths[ticks * size + index] = worthOfLook(rates[index]!, days);
      unchanged[ticks * size + index] = Math.exp(-rates[index]! * days);
    }
  }

  return {
    at(contact, ticks) {
      let mean = 0;
      const [belief, row] = [contact * size, ticks * size];
      for (let index = 0; index < size; index += 1) mean += beliefs[belief + index]! * worths[row + index]!;
      return mean;
    },
    learn({ contact, hasChanged }, ticks) {
      let sum = 0;
      const [belief, row] = [contact * size, ticks * size];
      for (let index = 0; index < size; index += 1) {
        const likelihood = hasChanged ? 1 - unchanged[row + index]! : unchanged[row + index]!;
        beliefs[belief + index]! *= likelihood;
        sum += beliefs[belief + index]!;
      }
      for (let index = 0; index < size; index += 1) beliefs[belief + index]! /= sum;
    },
  };
}
