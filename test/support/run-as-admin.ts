import pg from "pg";
import { inject } from "vitest";

/** Runs one statement as the superuser, in no test's database. */
export async function runAsAdmin(sql: string): Promise<void> {
  const client = new pg.Client(inject("adminUrl"));
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
