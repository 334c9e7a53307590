/**
 * A condition on a contact `c`: it is not claimed, or the claim has run out.
 * @param at a moment
 */
export function toUnclaimed(at: string): string {
  return `(c.claimed_until is null or c.claimed_until <= ${at})`;
}

/** A condition on a contact `c`: it is due and not claimed. */
export function toDue(at: string): string {
  return `c.due_at <= ${at} and ${toUnclaimed(at)}`;
}

/**
 * A select of `due_at` from the heads of the claim's two indexes, for each priority of the instance `i`. The heads are the
 * oldest by `due_at`, and the next hundred by turn. The latter are all due, but not in the order of `due_at`. Cheap whatever
 * the number of contacts.
 */
export function toDueHeads(at: string): string {
  return `
    select c.due_at from (values (0), (1), (2)) as p (priority)
    cross join lateral (
      (select c.due_at from avatars.contacts c
       where c.instance_id = i.id and c.priority = p.priority and c.turn is null and ${toDue(at)}
       order by c.due_at, c.id limit 1)
      union all
      (select c.due_at from avatars.contacts c
       where c.instance_id = i.id and c.priority = p.priority and c.turn is not null and ${toUnclaimed(at)}
       order by c.turn, c.id limit 100)
    ) c`;
}

/**
 * A condition on a contact `c`: nothing of it is put aside (save-lookups.ts).
 * @param aside an array of contacts, by {@link toAsideIds}
 */
export function toNotAside(aside: string): string {
  return `c.id <> all (${aside})`;
}

/**
 * An array of contacts of an instance that must not be claimed, although their row's claim may have run out. Another
 * transaction has them locked, or had when a call was in flight or was answered.
 *
 * `now()`, not `clock_timestamp()`, decides here and in the claim whether a claim has run out. A statement's `now()` is older
 * than its snapshot. So each statement that finds a claim run out sees what was put aside before that.
 * @param instanceId e.g. `$1`
 */
export function toAsideIds(instanceId: string): string {
  return `array(select a.contact_id from avatars.lookups_aside a
    where a.instance_id = ${instanceId} and (a.record is not null or a.claimed_until > now()))`;
}
