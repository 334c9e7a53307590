import { Gauge, type Registry } from "prom-client";
import type { InstanceId } from "../domain/instance-id.ts";
import type { ResyncPlan } from "../domain/resync/plan-resync.ts";
import { refreshCauses } from "../domain/refresh/refresh-step.ts";
import type { LatestRuns, ResyncNight, ResyncRun } from "../domain/resync/resync-run.ts";
import { instanceLabel } from "./instance-label.ts";

/** Where the resync stands; undefined where Postgres does not answer. */
export interface ResyncFacts {
  readonly night: ResyncNight | undefined;
  readonly runs: ReadonlyMap<InstanceId, LatestRuns>;
}

/** @param plans undefined: not counted yet */
export type ShowResync = (facts: ResyncFacts | undefined, plans: readonly ResyncPlan[] | undefined) => void;

/** What is counted of a night, by its name in a run. */
const nightCounts = ["due", "planned", "asked", "changed", "leftOver", "throttled"] as const;

/** What the database says of the resync: the same in every process. */
export function createResyncMetrics(registry: Registry): ShowResync {
  const { nightAt, sourceFailed, open, night, due, stretch } = createGauges(registry);
  const all = [nightAt, sourceFailed, open, ...Object.values(night), due, stretch];

  function showNight(run: ResyncRun): void {
    const of = { [instanceLabel]: run.instanceId };
    for (const name of nightCounts) {
      const value = run[name];
      if (value !== undefined) night[name].set(of, value);
    }
  }

  function showFacts(facts: ResyncFacts): void {
    if (facts.night) {
      nightAt.set(facts.night.slotAt.getTime() / 1000);
      sourceFailed.set(facts.night.source?.error === undefined ? 0 : 1);
    }
    for (const [instanceId, { open: run, lastNight }] of facts.runs) {
      if (run) open.set({ [instanceLabel]: instanceId, kind: run.kind }, 1);
      const shown = run?.kind === "night" ? run : lastNight;
      if (shown) showNight(shown);
    }
  }

  return (facts, plans) => {
    for (const gauge of all) gauge.reset();
    // Without a label a reset is a zero.
    for (const gauge of [nightAt, sourceFailed]) gauge.remove();
    if (facts) showFacts(facts);
    for (const { instanceId, dueNow, stretch: value } of plans ?? []) {
      for (const cause of refreshCauses) due.set({ [instanceLabel]: instanceId, cause }, dueNow[cause]);
      stretch.set({ [instanceLabel]: instanceId }, value);
    }
  };
}

function createGauges(registry: Registry) {
  const createGauge = (name: string, help: string, labels: readonly string[] = [instanceLabel]) =>
    new Gauge({ name: `avatars_${name}`, help, labelNames: [...labels], registers: [registry] });
  const nightAt = createGauge(
    "resync_night_timestamp_seconds",
    "The moment of the schedule at which the last night was opened",
    [],
  );
  const sourceFailed = createGauge(
    "resync_source_failed",
    "1: the source query of the last night was not read to its end",
    [],
  );
  const open = createGauge("resync_open", "1 while a run of the kind is open", [instanceLabel, "kind"]);
  const ofNight = (name: string, help: string) =>
    createGauge(`resync_night_${name}`, `${help}, in the last night; while one is open in that`);
  const night = {
    due: ofNight("due", "Contacts that were due or became so"),
    planned: ofNight("planned", "Contacts that fit into the calls"),
    asked: ofNight("asked", "Contacts that had their answer, or none after all attempts"),
    changed: ofNight("changed", "Answers that brought another avatar"),
    leftOver: ofNight("left_over", "Contacts that were due at its end"),
    throttled: ofNight("throttled", "Calls that were refused for being over the rate"),
  } as const;
  const due = createGauge(
    "refresh_due",
    "Contacts that rest and are due by policy; counted less often the longer it takes",
    [instanceLabel, "cause"],
  );
  const stretch = createGauge(
    "refresh_stretch",
    "How late the latest contact is, as a multiple of its interval: 1 where the calls suffice",
  );
  return { nightAt, sourceFailed, open, night, due, stretch };
}
