import { Gauge, type Registry } from "prom-client";
import { drainMs } from "../domain/pace/drain-time.ts";
import { isQuiet } from "../domain/care/care-clock.ts";
import { explainHold } from "../domain/trouble/hold.ts";
import type { Backlog, InstanceGauges } from "../domain/views/instance-gauges.ts";
import { instanceLabel } from "./instance-label.ts";

export interface DatabaseFacts {
  /** Undefined: Postgres does not answer. */
  readonly instances: readonly InstanceGauges[] | undefined;
  /** Undefined: not counted yet. */
  readonly backlogs: readonly Backlog[] | undefined;
}

const states = ["active", "held", "paused"] as const;

/** What the database says of all instances: the same in every process. */
export function createDatabaseMetrics(registry: Registry): (facts: DatabaseFacts) => void {
  const gauges = createGauges(registry);
  const { up, state, held, needsPerson, allowed, margin, oldest, due, waiting, drain, callsLeft, quiet } =
    gauges;
  const { up: _up, ...perInstance } = gauges;

  function showInstance(instance: InstanceGauges, backlog: Backlog | undefined): void {
    const of = { [instanceLabel]: instance.instanceId };
    const { heldReason } = instance;
    for (const name of states) state.set({ ...of, state: name }, name === instance.state ? 1 : 0);
    if (heldReason !== undefined) held.set({ ...of, reason: heldReason }, 1);
    const advice = heldReason === undefined ? undefined : explainHold(heldReason).advice;
    needsPerson.set(of, advice === undefined ? 0 : 1);
    allowed.set(of, instance.callsAllowed);
    margin.set(of, instance.marginMs / 1000);
    const { care } = instance;
    if (care?.callsPerDay !== undefined) callsLeft.set(of, Math.max(0, care.callsPerDay - care.callsToday));
    if (care?.quiet !== undefined) quiet.set(of, isQuiet(care, Date.now()) ? 1 : 0);
    oldest.set(of, (instance.oldestDueAgeMs ?? 0) / 1000);
    if (backlog === undefined) return;
    due.set(of, backlog.due);
    waiting.set(of, backlog.waiting);
    const leftMs = drainMs({ ...instance, backlog: backlog.due + backlog.waiting }, Date.now());
    if (leftMs !== undefined) drain.set(of, leftMs / 1000);
  }

  return ({ instances, backlogs }) => {
    for (const gauge of Object.values(perInstance)) gauge.reset();
    up.set(instances === undefined ? 0 : 1);
    const counted = backlogs && new Map(backlogs.map((backlog) => [backlog.instanceId, backlog]));
    for (const instance of instances ?? []) {
      const { instanceId } = instance;
      // An instance without a backlog is not among those that were counted.
      showInstance(instance, counted && (counted.get(instanceId) ?? { instanceId, due: 0, waiting: 0 }));
    }
  };
}

function createGauges(registry: Registry) {
  const createGauge = (name: string, help: string, labels: readonly string[] = []) =>
    new Gauge({
      name: `avatars_${name}`,
      help,
      labelNames: [instanceLabel, ...labels],
      registers: [registry],
    });
  const up = new Gauge({
    name: "avatars_database_up",
    help: "1: Postgres has answered within 5 s. 0: it has not, and what only it knows is left out",
    registers: [registry],
  });
  const state = createGauge("instance_state", "1 for the state that the instance is in", ["state"]);
  const held = createGauge("instance_held", "1 for the reason of the hold that the instance is in", [
    "reason",
  ]);
  const needsPerson = createGauge(
    "instance_needs_person",
    "1: the instance is held for something that does not end by waiting",
  );
  const allowed = createGauge(
    "instance_calls_allowed_per_second",
    "The pace of the instance: its rate, or less after refusals and after a hold",
  );
  const margin = createGauge(
    "instance_margin_seconds",
    "Kept on top of each full second of calls; grows with refusals",
  );
  const oldest = createGauge(
    "oldest_due_age_seconds",
    "How long the oldest due contact has waited; 0 where none is due",
  );
  const due = createGauge(
    "contacts_due",
    "Contacts that may be called for now, or whose calls are in flight; counted at most every 10 s, and less often where it takes long",
  );
  const waiting = createGauge("contacts_waiting", "Contacts that wait for their backoff");
  const drain = createGauge(
    "instance_drain_seconds",
    "Until no contact waits any more if all goes on as now; left out where it does not go on",
  );
  const callsLeft = createGauge(
    "instance_calls_left_today",
    "What the instance's cap leaves for this day of its time zone, without what a worker has reserved; left out where it has no cap",
  );
  const quiet = createGauge(
    "instance_quiet",
    "1: it is within the quiet hours of the instance; left out where it has none",
  );
  return { up, state, held, needsPerson, allowed, margin, oldest, due, waiting, drain, callsLeft, quiet };
}
