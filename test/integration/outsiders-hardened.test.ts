import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApp } from "../../src/app/app.ts";
import { readConfig } from "../../src/config.ts";
import { openEmbeddedPostgres } from "../../src/embedded/open-embedded-postgres.ts";
import { addInstance, toChatId } from "../support/ledger.ts";
import { openOutsider, type Outsider } from "../support/outsider.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

const shared = `hashtext('bullmq:finalization'), hashtext('instance-runs')`;
let database: TestDatabase;
let crm: Outsider;

beforeAll(async () => {
  database = await openTestDatabase();
  crm = await openOutsider(database);
});
afterAll(async () => {
  await crm.close();
  await database.close();
});

test("without what SECURITY.md has a superuser do, a role without rights takes the locks that BullMQ waits for", async () => {
  await crm.query(`select pg_advisory_lock(${shared})`);
  const { rows } = await database.pool.query(`select pg_try_advisory_xact_lock_shared(${shared}) as is_free`);
  expect(rows).toEqual([{ is_free: false }]);
  await crm.query("select pg_advisory_unlock_all()");
});

test("with it, it takes no advisory lock and makes no temporary table, and enqueues as before", async () => {
  const text = await readFile(new URL("../../SECURITY.md", import.meta.url), "utf8");
  const sql = /```sql\n([^`]*)```/.exec(text)?.[1] ?? "";
  await database.pool.query(sql.replace("to avatars'", "to current_user'"));
  for (const kind of ["", "try_"]) {
    for (const end of ["lock", "lock_shared", "xact_lock", "xact_lock_shared"]) {
      const name = `pg_${kind}advisory_${end}`;
      for (const numbers of ["1", "1, 1"]) {
        await expect(crm.query(`select ${name}(${numbers})`)).rejects.toMatchObject({ code: "42501" });
      }
    }
  }
  await expect(crm.query("create temporary table t ()")).rejects.toMatchObject({ code: "42501" });
  await database.pool.query("select pg_advisory_xact_lock(1, 1)");
  const instanceId = await addInstance(database);
  const { rowCount } = await crm.query("select avatars.enqueue($1, $2)", [instanceId, [toChatId(1)]]);
  expect(rowCount).toBe(1);
});

test("the embedded Postgres is kept so by itself, however many processes begin at once", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "contact-avatars-hardened-"));
  const config = readConfig({ AVATARS_DATA_DIR: dataDir });
  const { signal } = new AbortController();
  const open = async () =>
    openApp(config, { defaultLogLevel: "silent", maxConnections: 2, migrate: false, signal });
  const apps = await Promise.all([open(), open()]);
  const server = await openEmbeddedPostgres({ dataDir });
  const owner = new pg.Client(server.url);
  const url = new URL(server.url);
  Object.assign(url, { username: "crm", password: "hunter2" });
  const role = new pg.Client(url.href);
  try {
    await owner.connect();
    await owner.query("create role crm login password 'hunter2'");
    await owner.query("grant usage on schema avatars to crm");
    await role.connect();
    await expect(role.query(`select pg_advisory_lock(${shared})`)).rejects.toMatchObject({ code: "42501" });
    await expect(role.query("create temporary table t ()")).rejects.toMatchObject({ code: "42501" });
    await owner.query("select pg_advisory_xact_lock(1, 1)");
  } finally {
    await role.end();
    await owner.end();
    await server.close();
    await Promise.all(apps.map(async (app) => app.close()));
    await rm(dataDir, { recursive: true, force: true });
  }
});
