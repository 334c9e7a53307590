import { expect, test } from "vitest";
import { GuardedClient } from "../../src/queue/guarded-client.ts";
import { openTestDatabase } from "../support/test-database.ts";

test("a connection that is lost while nobody listens is told by its next statement alone", async () => {
  const database = await openTestDatabase();
  const client = new GuardedClient(database.url);
  await client.connect();
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  const ended = new Promise<void>((resolve) => client.once("end", resolve));
  // Without its listener the error would be nobody's, and end the process.
  await database.pool.query("select pg_terminate_backend($1)", [rows[0]?.pid]);
  await ended;
  await expect(client.query("select 1")).rejects.toThrow();
  await database.close();
});
