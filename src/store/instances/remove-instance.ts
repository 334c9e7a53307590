import type pg from "pg";
import type { Actor, AuditEntry } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { forgetAuditedContact } from "../audit/forget-audited-contact.ts";
import { recordAudit } from "../audit/record-audit.ts";
import { waitBriefly } from "../postgres/brief-locks.ts";
import type { Database } from "../postgres/database.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { briefly, patiently, retryTransient } from "../postgres/retry-transient.ts";
import { setPaused } from "./pause-instance.ts";

const removedAtOnce = 10_000;

const removeContactsSql = `
with gone as materialized (select id from avatars.contacts where instance_id = $1 limit ${removedAtOnce})
delete from avatars.contacts c using gone where c.id = gone.id`;

const removeMembersSql = `
delete from avatars.batch_members where ctid = any (array(
  select m.ctid from unnest($1::uuid[]) as b (id)
  cross join lateral (select ctid from avatars.batch_members where batch_id = b.id limit ${removedAtOnce}) m
  limit ${removedAtOnce}))`;

/**
 * Removes the instance with its contacts, their avatars and batches, in steps that commit. The next call finishes what an
 * interrupted one has begun. The instance is paused first, and the audit log told. False where there is none.
 */
export async function removeInstance(database: Database, id: InstanceId, by?: Actor): Promise<boolean> {
  const { pool } = database;
  await setPaused(database, id, true, by, toRemovalEntry(id, "erased"));
  // A transaction that still adds contacts may meet us halfway: then one of the two tries again.
  const step: Step = (statement, which) =>
    retryTransient(patiently, async () => removeSome(pool, statement, which));
  while (await step(removeContactsSql, id));
  await retryTransient(patiently, async () => removeBatches(pool, step, id));
  return retryTransient(patiently, async () => removeRest(pool, id));
}

/** Removes the instance unless it has contacts. False: it has, and stays as it is. True also where there is none. */
export async function removeEmptyInstance({ pool }: Database, id: InstanceId, by?: Actor): Promise<boolean> {
  return retryTransient(briefly, async () =>
    inTransaction(pool, async (client) => {
      await waitBriefly(client);
      // The lock keeps contacts from being added meanwhile, as in `removeRest`.
      await client.query("select from avatars.instances where id = $1 for update", [id]);
      const { rowCount } = await client.query("select from avatars.contacts where instance_id = $1 limit 1", [
        id,
      ]);
      if (rowCount !== 0) return false;
      await removeBatches(client, async (statement, which) => removeSome(client, statement, which), id);
      const removed = await client.query("delete from avatars.instances where id = $1", [id]);
      if (removed.rowCount) await recordAudit(client, by, toRemovalEntry(id, "none"));
      return true;
    }),
  );
}

function toRemovalEntry(id: InstanceId, contacts: "erased" | "none"): AuditEntry {
  return { action: "instance.removed", subjectId: id, instanceId: id, detail: { contacts } };
}

async function removeRest(pool: pg.Pool, id: InstanceId): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    // Waits for transactions that are adding a contact or a batch. Later ones wait for us, and find no instance.
    const { rowCount } = await client.query("select from avatars.instances where id = $1 for update", [id]);
    if (!rowCount) return false;
    const step: Step = async (statement, which) => removeSome(client, statement, which);
    while (await step(removeContactsSql, id));
    await removeBatches(client, step, id);
    await forgetAuditedContact(client, id);
    await client.query("delete from avatars.instances where id = $1", [id]);
    return true;
  });
}

type Connection = pg.Pool | pg.PoolClient;

/** Is there more to remove? */
type Step = (statement: string, which: string | string[]) => Promise<boolean>;

async function removeBatches(connection: Connection, step: Step, id: InstanceId): Promise<void> {
  for (;;) {
    const { rows } = await connection.query<{ id: string }>(
      "select id from avatars.batches where instance_id = $1 order by requested_at limit 1000",
      [id],
    );
    if (rows.length === 0) return;
    const batchIds = rows.map((row) => row.id);
    while (await step(removeMembersSql, batchIds));
    await connection.query("delete from avatars.batches where id = any ($1::uuid[])", [batchIds]);
  }
}

async function removeSome(
  connection: Connection,
  statement: string,
  which: string | string[],
): Promise<boolean> {
  const { rowCount } = await connection.query(statement, [which]);
  return rowCount === removedAtOnce;
}
