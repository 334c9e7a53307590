/**
 * A condition on a contact `c`: nobody has claimed it, or the claim has run out.
 * @param at a moment
 */
export function toUnclaimed(at: string): string {
  return `(c.claimed_until is null or c.claimed_until <= ${at})`;
}

/** A condition on a contact `c`: it is due, and nobody has claimed it. */
export function toDue(at: string): string {
  return `c.due_at <= ${at} and ${toUnclaimed(at)}`;
}

/**
 * A select of `due_at` from the heads of the claim's two indexes, for each priority of the instance `i`: the oldest of those
 * that go by `due_at`, and the next hundred by turn. Whoever has a turn is due, but for how long is not in the order of the
 * turns. Cheap whatever the number of contacts.
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
 * The contacts of an instance that must not be claimed although their claim may have run out in their row, as an array: another
 * transaction has them locked, or had when a call was in flight or was answered.
 *
 * `now()`, not `clock_timestamp()`, as in the claim for the end of claims: what was put aside before a claim ran out is in the
 * snapshot of each statement that began after that, since its `now()` is older than its snapshot.
 * @param instanceId e.g. `$1`
 */
export function toAsideIds(instanceId: string): string {
  return `array(select a.contact_id from avatars.lookups_aside a
    where a.instance_id = ${instanceId} and (a.record is not null or a.claimed_until > now()))`;
}
