import { contactStatuses, type ContactStatus } from "../../domain/contact-status.ts";
import { memberStatusSql } from "./batch-sql.ts";

/**
 * A lateral table of one row. `counts` are the members of the batch `b` by status, `fresh` those whose answer was there
 * before. Members whose contact is gone are not counted.
 *
 * It goes through the members in their order and probes each contact, about 1.5 s per million. A planner left to itself reads
 * all contacts for a batch of ten, where others are large.
 * @param batchId as `b` has it, e.g. `$1`
 */
export function toMemberCounts(batchId: string): string {
  return `(
    select coalesce(json_object_agg(s.status, s.members), '{}') as counts, coalesce(sum(s.fresh), 0)::int as fresh
    from (
      select c.status, count(*)::int as members, count(*) filter (where c.was_fresh)::int as fresh
      from (
        select m.contact_id from avatars.batch_members m where m.batch_id = ${batchId} order by m.contact_id offset 0
      ) m
      cross join lateral (
        select ${memberStatusSql} as status,
          avatars.is_fresh(c, b.fresh_after) and c.checked_at < b.requested_at as was_fresh
        from avatars.contacts c where c.id = m.contact_id limit 1
      ) c
      group by c.status
    ) s
  )`;
}

/** The column `counts`, as it comes. */
export type MemberCounts = Readonly<Partial<Record<ContactStatus | "pending" | "cancelled", number>>>;

/** The members that are neither pending nor cancelled. */
export function toFinished(counts: MemberCounts): Record<ContactStatus, number> {
  return Object.fromEntries(contactStatuses.map((status) => [status, counts[status] ?? 0])) as Record<
    ContactStatus,
    number
  >;
}
