import type { CareFacts } from "../../domain/care/care.ts";
import { interactive } from "../../domain/ledger/due-queue.ts";
import { toDueHeads } from "./due-sql.ts";

/** A lease has calls reserved for so long, ms: for the time to its next renewal, and half as much again. */
const grantedForMs = 1_500;

/**
 * A lateral subquery on the row `i` of an instance: where it stands with its care. Calls nothing for an instance without. `day`, which
 * is counted: null without a cap; `made`: its calls, with those that are granted; `granted`: those of the present lease.
 * @param at a moment
 */
export function toCareState(at: string): string {
  return `(
    select d.day, d.is_quiet, case when i.calls_day = d.day then i.calls_today else 0 end as made,
      case when i.calls_day = d.day then coalesce(i.calls_granted, 0) else 0 end as granted
    from (
      select case when i.calls_per_day is not null then avatars.day_to_count(${at}, i.time_zone, i.calls_day) end as day,
        case when i.quiet_from is null then false
          else avatars.is_quiet(${at}, i.quiet_from, i.quiet_until, i.time_zone) end as is_quiet
    ) d
  )`;
}

/**
 * Calls to grant on top of those that are. They are never taken back during the lease: its holder may have made them.
 * @param state the alias of a {@link toCareState}
 * @param spent those that the holder has made already
 * @param rate calls per second
 */
export function toMoreCalls(state: string, spent: string, rate: string): string {
  const ahead = `ceil(${rate} * ${grantedForMs} / 1000.0)::int`;
  return `case when i.calls_per_day is not null
    then greatest(0, least(${spent} + ${ahead} - ${state}.granted, i.calls_per_day - ${state}.made)) end`;
}

/**
 * A condition on the row `i`: may it be called at a moment, as far as its care goes? In quiet hours, where single contacts are
 * excepted, it may where one of them is due.
 */
export function toCareAllows(at: string): string {
  return `(i.calls_per_day is null and i.quiet_from is null or exists (
    select from ${toCareState(at)} q
    where (q.day is null or q.made < i.calls_per_day) and (not q.is_quiet or ${toInteractiveDue(at)})))`;
}

/** A condition on the row `i`: contacts are due that may be asked for in its quiet hours. */
export function toInteractiveDue(at: string): string {
  return `coalesce(i.quiet_interactive, false) and exists (${toDueHeads(at, [interactive])})`;
}

/**
 * An expression on the row `i` and its {@link toCareState}: its {@link CareFacts} as JSON; null where it has no care.
 * @param state the alias of that
 */
export function toCareFacts(state: string): string {
  return `case when i.calls_per_day is not null or i.quiet_from is not null then json_build_object(
    'callsPerDay', i.calls_per_day, 'callsToday', ${state}.made, 'quietFrom', i.quiet_from, 'quietUntil', i.quiet_until,
    'quietInteractive', coalesce(i.quiet_interactive, false), 'timeZone', coalesce(i.time_zone, 'UTC')) end`;
}

/** As {@link toCareFacts} has it. */
export interface CareJson {
  readonly callsPerDay: number | null;
  readonly callsToday: number;
  readonly quietFrom: number | null;
  readonly quietUntil: number | null;
  readonly quietInteractive: boolean;
  readonly timeZone: string;
}

export function readCareFacts(json: CareJson | null): CareFacts | undefined {
  if (json === null) return undefined;
  const { callsPerDay, callsToday, quietFrom, quietUntil, quietInteractive, timeZone } = json;
  return {
    callsPerDay: callsPerDay ?? undefined,
    callsToday,
    quiet: quietFrom === null || quietUntil === null ? undefined : { from: quietFrom, until: quietUntil },
    quietInteractive,
    timeZone,
  };
}
