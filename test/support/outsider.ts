import { randomUUID } from "node:crypto";
import pg from "pg";
import { runAsAdmin } from "./run-as-admin.ts";
import type { TestDatabase } from "./test-database.ts";

/** A role that may do no more than call `avatars.enqueue`, as a CRM in the same database, with one session. */
export interface Outsider {
  query(sql: string, values?: unknown[]): Promise<pg.QueryResult>;
  /** Enqueues in a transaction that stays open, until `commit` or `rollback` is queried. */
  enqueue(instanceId: string, chatIds: readonly string[]): Promise<void>;
  /** Rolls back what is open. */
  close(): Promise<void>;
}

export async function openOutsider(database: TestDatabase): Promise<Outsider> {
  const name = `crm_${randomUUID().replaceAll("-", "")}`;
  await runAsAdmin(`create role ${name} login password 'crm'`);
  await database.pool.query(`grant usage on schema avatars to ${name}`);
  const url = new URL(database.url);
  url.username = name;
  url.password = "crm";
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  return {
    query: async (sql, values) => client.query(sql, values),
    async enqueue(instanceId, chatIds) {
      await client.query("begin");
      await client.query("select avatars.enqueue($1, $2)", [instanceId, chatIds]);
    },
    async close() {
      await client.end();
      await database.pool.query(`revoke usage on schema avatars from ${name}`);
      await runAsAdmin(`drop role ${name}`);
    },
  };
}
