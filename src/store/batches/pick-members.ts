import type pg from "pg";

/** Members that one transaction changes, and those that it looks at to find them: at most so many. */
const changedAtOnce = 10_000;
const lookedAtAtOnce = 100_000;

/** The members that are looked at in one step, and those of them that are picked. */
export interface PickedMembers {
  /** Ascending. */
  readonly contactIds: readonly string[];
  /** Where the next step begins: all members up to this contact were looked at. */
  readonly through: string;
  readonly isLast: boolean;
}

interface Row {
  readonly picked: string[];
  readonly end: string | null;
}

/**
 * Picks the next members of a batch, at most 10,000. Locks nothing: the caller looks again before it changes them.
 * @param which a condition on the contact `c` and the batch `b`
 * @param after only contacts with an id above this one
 */
export async function pickMembers(
  client: pg.PoolClient,
  batchId: string,
  which: string,
  after: string,
): Promise<PickedMembers> {
  const { rows } = await client.query<Row>(
    `select array(
       select m.contact_id
       from (
         select m.contact_id from avatars.batch_members m
         where m.batch_id = $1 and m.contact_id > $2 order by m.contact_id limit ${lookedAtAtOnce}
       ) m
       cross join lateral (select ${which} as is_picked from avatars.contacts c where c.id = m.contact_id limit 1) c
       where c.is_picked
       order by m.contact_id limit ${changedAtOnce}
     ) as picked, (
       select m.contact_id from avatars.batch_members m
       where m.batch_id = $1 and m.contact_id > $2 order by m.contact_id offset ${lookedAtAtOnce - 1} limit 1
     ) as end
     from avatars.batches b where b.id = $1`,
    [batchId, after],
  );
  const { picked = [], end = null } = rows[0] ?? {};
  const isFull = picked.length === changedAtOnce;
  const through = (isFull ? picked.at(-1) : undefined) ?? end ?? highestId;
  return { contactIds: picked, through, isLast: !isFull && end === null };
}

/** No id is above this one. */
const highestId = "9223372036854775807";
