import type pg from "pg";

/**
 * Locks contacts to the end of the transaction, in the order of their id like everywhere else. A later statement is to read
 * their state. This one cannot see what the transactions have written that it waited for.
 */
export async function lockContacts(client: pg.PoolClient, contactIds: readonly string[]): Promise<void> {
  await client.query(
    "select from avatars.contacts c where c.id = any ($1::bigint[]) order by c.id for no key update",
    [contactIds],
  );
}
