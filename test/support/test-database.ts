import { randomUUID } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { openDatabase, type Database } from "../../src/store/postgres/database.ts";
import { templateName } from "./global-setup.ts";

export interface TestDatabase extends Database {
  readonly url: string;
}

/** A lock is waited for longer than by the product: on a busy machine tests that wait for each other must not lose. */
const deadlines = { connectMs: 10_000, statementMs: 60_000, lockMs: 30_000 };

/** A database of the test file's own, migrated and empty. `close` drops it. */
export async function openTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await runAsAdmin(`create database ${name} template ${templateName} strategy file_copy`);
  const url = new URL(inject("adminUrl"));
  url.pathname = `/${name}`;
  const database = await openDatabase({ url: url.href, maxConnections: 8, deadlines });
  return {
    ...database,
    url: url.href,
    async close() {
      await database.close();
      await runAsAdmin(`drop database if exists ${name} with (force)`);
    },
  };
}

async function runAsAdmin(sql: string): Promise<void> {
  const client = new pg.Client(inject("adminUrl"));
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
