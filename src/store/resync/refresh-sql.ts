import { hourMs, stepsPerOctave } from "../../domain/refresh/refresh-step.ts";

/** A condition on a contact `c`: it rests, and the policy says when it is due again. The index has the same. */
export const hasRefreshSql = "c.due_at is null and c.refresh_at is not null";

/**
 * The interval of a step that is not below 0, seconds: as `toIntervalMs` of domain/refresh/refresh-step.ts has it.
 * @param step e.g. `c.refresh_step`
 */
export function toIntervalSeconds(step: string): string {
  // Not `2 ^ 4.0`, which is of type numeric: 15 µs for each contact, most of the time of a release.
  return `(${hourMs / 1000} * 2::float8 ^ (${step} / ${stepsPerOctave}::float8))`;
}

/**
 * The steps of an instance that have contacts at rest, as a recursive table `steps` with one column, `step`. Each is found by
 * one probe of the index: some twenty probes, whatever the number of contacts.
 * @param instanceId e.g. `$1`
 */
export function toStepsTable(instanceId: string): string {
  const next = (after: string) => `(
    select c.refresh_step from avatars.contacts c
    where c.instance_id = ${instanceId} and ${hasRefreshSql} ${after}
    order by c.refresh_step limit 1)`;
  return `steps (step) as (
  select ${next("")}
  union all
  select ${next("and c.refresh_step > s.step")} from steps s where s.step is not null
)`;
}
