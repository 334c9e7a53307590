/**
 * A condition on a contact `c`: its call was in flight when this lease was handed over, by a mark in its row or beside it.
 * @param epoch of the lease
 */
export function toMarkedBy(epoch: string): string {
  return `(c.in_flight_epoch = ${epoch} or exists (select from avatars.lookups_aside a
      where a.contact_id = c.id and a.epoch = ${epoch} and a.record is null))`;
}

/**
 * Whose record it is, the save's fence for everything but a clear answer. All that a save knows of leases is in here.
 *
 * In these a record is `i`, and its contact, as locked by the save, `c`.
 */
export const saveFence = {
  /**
   * Is the contact due, and does the record belong to the present lease, or to the one that has left the call in flight? A zombie
   * spends no attempts.
   */
  isHeldSql: `c.due_at is not null and (
        (select n.lease_epoch from avatars.instances n where n.id = c.instance_id) = i.epoch or ${toMarkedBy("i.epoch")})`,
  /**
   * The kind that the record counts as. A failure counts only where the contact has as many attempts as when it was asked for.
   * Otherwise it was asked for anew meanwhile, or the failure was counted already: it is as if it was released.
   */
  kindSql:
    "case when i.kind in ('retry', 'give-up') and i.attempts <> c.attempts then 'release' else i.kind end",
  /**
   * What becomes of the mark of a call in flight, as assignments to `c`. A contact that rests has none; else the record's own ends,
   * and that of another lease stays.
   * @param rests a condition
   */
  toAssignmentsSql: (rests: string): string => `
    in_flight_epoch = case when not ${rests} and c.in_flight_epoch is distinct from i.epoch then c.in_flight_epoch end,
    in_flight_until = case when not ${rests} and c.in_flight_epoch is distinct from i.epoch then c.in_flight_until end`,
} as const;
