import type { RemoveSome } from "./remove-in-steps.ts";

const removedAtOnce = 5_000;

/** A transaction that has one locked erases a contact. */
const sql = `
with removed as (
  delete from avatars.audit where id = any (array(
    select a.id from avatars.audit a where a.at < now() - $1::float8 * interval '1 ms'
    order by a.at, a.id limit ${removedAtOnce} for update skip locked
  )) returning 1
)
select count(*)::int as removed from removed`;

/** Makes the step that removes rows of the audit log that were written before a moment. */
export function createAuditRemover(keepMs: number): RemoveSome {
  return async (client) => {
    const { rows } = await client.query<{ removed: number }>(sql, [keepMs]);
    const { removed = 0 } = rows[0] ?? {};
    return { removed: { audits: removed }, isMore: removed === removedAtOnce };
  };
}
