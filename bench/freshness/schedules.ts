import { readConfig } from "../../src/config.ts";
import { createHighestFirst } from "./highest-first.ts";
import { knowMix } from "./known-mix.ts";
import { knowRates } from "./known-rates.ts";
import { toGrid, type Mix } from "./mix.ts";
import { createProduct } from "./product.ts";
import { createRoundRobin } from "./round-robin.ts";
import { importDays, ticksPerDay, type Schedule } from "./simulate.ts";

export const scheduleNames = ["roundRobin", "policy", "policyWithUrls", "knownRates", "knownMix"] as const;
export type ScheduleName = (typeof scheduleNames)[number];

/** For whom a schedule is made. Only those that are there for comparison look at mix and rates. */
export interface Setting {
  readonly mix: Mix;
  readonly rates: Float64Array;
  readonly days: number;
}

export function createSchedule(name: ScheduleName, { mix, rates, days }: Setting): Schedule {
  const contacts = rates.length;
  const endAt = (importDays + days) * ticksPerDay;
  const { refresh } = readConfig({});
  switch (name) {
    case "roundRobin":
      return createRoundRobin(contacts);
    case "policy":
      return createProduct(contacts, { ...refresh, keepUrlsFresh: false });
    case "policyWithUrls":
      return createProduct(contacts, { ...refresh, keepUrlsFresh: true });
    case "knownRates":
      return createHighestFirst(contacts, endAt, knowRates(rates));
    case "knownMix":
      return createHighestFirst(contacts, endAt, knowMix(toGrid(mix), contacts, endAt));
  }
}
