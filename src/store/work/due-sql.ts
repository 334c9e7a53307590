/**
 * A condition on a contact `c`: no call for it was in flight when its lease was handed over, or that was long ago.
 * @param at a moment
 */
function toNotInFlight(at: string): string {
  return `(c.in_flight_until is null or c.in_flight_until <= ${at})`;
}

/** A condition on a contact `c`: it is due, and no earlier lease asks for it. */
export function toDue(at: string): string {
  return `c.due_at <= ${at} and ${toNotInFlight(at)}`;
}

/**
 * A condition on a contact `c` that is due: no earlier lease asks for it, and no record of it is put aside (save-lookups.ts).
 *
 * `now()`, not `clock_timestamp()`: a statement's `now()` is older than its snapshot. So each statement that finds a mark run out
 * sees what was put aside before that.
 */
export const isFreeSql = `${toNotInFlight("now()")}
      and not exists (select from avatars.lookups_aside a
        where a.contact_id = c.id and (a.record is not null or a.in_flight_until > now()))`;

/**
 * A select of `due_at` from the heads of both queues, for each priority of the instance `i`, or for some. The heads are the
 * oldest by `due_at`, and the next hundred by turn. The latter are all due, but not in the order of `due_at`. Cheap whatever
 * the number of contacts.
 */
export function toDueHeads(at: string, priorities: readonly number[] = [0, 1, 2]): string {
  return `
    select c.due_at from (values ${priorities.map((priority) => `(${priority})`).join(", ")}) as p (priority)
    cross join lateral (
      (select c.due_at from avatars.contacts c
       where c.instance_id = i.id and c.priority = p.priority and c.turn is null and ${toDue(at)}
       order by c.due_at, c.id limit 1)
      union all
      (select c.due_at from avatars.contacts c
       where c.instance_id = i.id and c.priority = p.priority and c.turn is not null and ${toNotInFlight(at)}
       order by c.turn, c.id limit 100)
    ) c`;
}
