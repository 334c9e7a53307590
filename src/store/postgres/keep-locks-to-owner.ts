import type pg from "pg";
import { inTransaction } from "./in-transaction.ts";
import { patiently, retryTransient } from "./retry-transient.ts";

const lockFunctions = `p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ '^pg_(try_)?advisory_(xact_)?lock(_shared)?$'`;

const isOpenSql = `
select has_database_privilege('public', current_database(), 'temporary') or exists (
  select from pg_proc p where ${lockFunctions} and has_function_privilege('public', p.oid, 'execute')) as is_open`;

/** Does what SECURITY.md has a superuser do; nothing where it is done already. */
const sql = `do $$
declare
  routine regprocedure;
begin
  for routine in
    select p.oid from pg_proc p where ${lockFunctions} and has_function_privilege('public', p.oid, 'execute')
  loop
    execute format('revoke execute on function %s from public', routine);
  end loop;
  if has_database_privilege('public', current_database(), 'temporary') then
    execute format('revoke temporary on database %I from public', current_database());
  end if;
end $$`;

/**
 * Takes advisory locks and temporary tables from all roles but superusers, in this database. BullMQ waits for advisory locks
 * that any role could hold, and both fill the server's table of locks. For a server that is the product's own, as its
 * superuser. Several processes may do so at once. The tables have to be there.
 */
export async function keepLocksToOwner(pool: pg.Pool): Promise<void> {
  // The revocation is done once for a database: later starts need no lock.
  const { rows } = await pool.query<{ is_open: boolean }>(isOpenSql);
  if (rows[0]?.is_open !== true) return;
  await retryTransient(patiently, async () =>
    inTransaction(pool, async (client) => {
      // Two revokes at once would meet in one row of the catalog.
      await client.query("lock table avatars.migration_gate in exclusive mode");
      await client.query(sql);
    }),
  );
}
