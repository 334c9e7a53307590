import type pg from "pg";

/**
 * Locks contacts to the end of the transaction, in the order of their id like everywhere else. What they are, and who waits
 * for them, is to be read by a later statement: this one cannot see what those have written whom it has waited for.
 */
export async function lockContacts(client: pg.PoolClient, contactIds: readonly string[]): Promise<void> {
  await client.query(
    "select from avatars.contacts c where c.id = any ($1::bigint[]) order by c.id for no key update",
    [contactIds],
  );
}
