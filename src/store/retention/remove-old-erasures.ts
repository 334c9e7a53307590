import type { RemoveSome } from "./remove-in-steps.ts";

const removedAtOnce = 1_000;

/**
 * A spent quota lasts to the 1st of the next month. The provider may name a chat for 31 days after the last call for it. As
 * long again is for a provider that is late with the reset.
 */
const keepMs = 62 * 86_400_000;

/** A transaction that has one locked is erasing that chat once more. */
const sql = `
with removed as (
  delete from avatars.erased_chats where ctid = any (array(
    select e.ctid from avatars.erased_chats e where e.erased_at < now() - ${keepMs} * interval '1 ms'
    order by e.erased_at limit ${removedAtOnce} for update skip locked
  )) returning 1
)
select count(*)::int as removed from removed`;

/** Makes the step that removes marks of erased chats, once no spent quota can be from before the erasure. */
export function createErasureRemover(): RemoveSome {
  return async (client) => {
    const { rows } = await client.query<{ removed: number }>(sql);
    const { removed = 0 } = rows[0] ?? {};
    return { removed: { erasures: removed }, isMore: removed === removedAtOnce };
  };
}
