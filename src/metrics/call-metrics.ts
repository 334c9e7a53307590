import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { InstanceActivity } from "../domain/views/instance-activity.ts";
import type { Lookup } from "../domain/outcome.ts";
import { instanceLabel } from "./instance-label.ts";

/** What the worker tells of its work, as far as it is counted. */
export interface CountedEvents {
  lookedUp(fields: { instanceId: string; lookup: Lookup }): void;
  instanceHeld(fields: { instanceId: string; hold: { reason: string } }): void;
  saveDelayed(): void;
  savesSetAside(fields: { records: number }): void;
}

/** WhatsApp may take a minute; the deadline of a call is 70 s unless set otherwise. */
const durationBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 75];

/** What this process itself does. */
export function createCallMetrics(registry: Registry): {
  readonly events: CountedEvents;
  showActivity(activity: readonly InstanceActivity[]): void;
} {
  const registers = [registry];
  const calls: Counter = new Counter({
    name: "avatars_calls_total",
    help: "Calls of getAvatar that were answered or given up, by outcome; throttled: refused for being over the rate",
    labelNames: [instanceLabel, "outcome"],
    registers,
    collect() {
      calls.reset();
      for (const [instanceId, outcomes] of counted)
        for (const [outcome, count] of outcomes) calls.inc({ [instanceLabel]: instanceId, outcome }, count);
    },
  });
  const duration = new Histogram({
    name: "avatars_call_duration_seconds",
    help: "How long calls of getAvatar took",
    buckets: durationBuckets,
    registers,
  });
  const inFlight = new Gauge({
    name: "avatars_calls_in_flight",
    help: "Calls of getAvatar that this process waits for",
    labelNames: [instanceLabel],
    registers,
  });
  const holds = new Counter({
    name: "avatars_holds_total",
    help: "Holds that this process has opened, by their first reason: each once, however often it is prolonged",
    labelNames: [instanceLabel, "reason"],
    registers,
  });
  const saveDelays = new Counter({
    name: "avatars_save_delays_total",
    help: "Attempts to save answers that Postgres did not take; they are repeated",
    registers,
  });
  const setAside = new Counter({
    name: "avatars_saves_set_aside_total",
    help: "Lookups whose contact another transaction had locked; they are kept, and saved when it is free",
    registers,
  });
  /** By instance and outcome. Labels are put together when they are asked for, not for each call. */
  const counted = new Map<string, Map<string, number>>();
  function countCall(instanceId: string, outcome: string): void {
    let ofInstance = counted.get(instanceId);
    if (ofInstance === undefined) counted.set(instanceId, (ofInstance = new Map<string, number>()));
    ofInstance.set(outcome, (ofInstance.get(outcome) ?? 0) + 1);
  }
  return {
    events: {
      lookedUp({ instanceId, lookup }) {
        countCall(instanceId, lookup.outcome.kind);
        duration.observe(lookup.tookMs / 1000);
      },
      instanceHeld: ({ instanceId, hold }) => holds.inc({ [instanceLabel]: instanceId, reason: hold.reason }),
      saveDelayed: () => saveDelays.inc(),
      savesSetAside: ({ records }) => setAside.inc(records),
    },
    showActivity(activity) {
      inFlight.reset();
      for (const { instanceId, inFlight: count } of activity)
        inFlight.set({ [instanceLabel]: instanceId }, count);
    },
  };
}
