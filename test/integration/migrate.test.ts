import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { openDatabase, type Database } from "../../src/store/database.ts";
import { assertMigrated, migrateLedger } from "../../src/store/migrate.ts";
import { runAsAdmin } from "../support/run-as-admin.ts";

let name: string;
let database: Database;

function toUrl(user?: { name: string; password: string }): string {
  const url = new URL(inject("adminUrl"));
  url.pathname = `/${name}`;
  if (user) Object.assign(url, { username: user.name, password: user.password });
  return url.href;
}

beforeEach(async () => {
  name = `test_${randomUUID().replaceAll("-", "")}`;
  await runAsAdmin(`create database ${name}`);
  database = await openDatabase({ url: toUrl(), maxConnections: 4 });
});
afterEach(async () => {
  await database.close();
  await runAsAdmin(`drop database if exists ${name} with (force)`);
});

test("several processes that migrate an empty database at once all succeed, and it is migrated once", async () => {
  const others = await Promise.all(
    Array.from({ length: 3 }, async () => openDatabase({ url: toUrl(), maxConnections: 1 })),
  );
  await Promise.all([database, ...others].map(async ({ pool }) => migrateLedger(pool)));
  await Promise.all(others.map(async (other) => other.close()));
  await assertMigrated(database.pool);
  const { rows } = await database.pool.query(
    "select count(*)::int as migrations, count(distinct hash)::int as different from avatars.migrations",
  );
  expect(rows).toEqual([{ migrations: rows[0].different, different: rows[0].different }]);
  expect(rows[0].migrations).toBeGreaterThanOrEqual(2);
});

test("migrating again changes nothing, and keeps the data", async () => {
  await migrateLedger(database.pool);
  await database.pool.query(
    "insert into avatars.instances (id, api_url, sealed_token) values ('1', 'u', 't')",
  );
  await migrateLedger(database.pool);
  const { rows } = await database.pool.query("select id from avatars.instances");
  expect(rows).toEqual([{ id: "1" }]);
});

test("everything lives in the schema avatars", async () => {
  const listObjects = async () => {
    const { rows } = await database.pool.query<{ object: string }>(
      `select n.nspname || '.' || c.relname as object from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       union select n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       union select n.nspname || '.' || t.typname from pg_type t join pg_namespace n on n.oid = t.typnamespace
         where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`,
    );
    return rows.map(({ object }) => object);
  };
  expect(await listObjects()).toEqual([]);
  await migrateLedger(database.pool);
  const objects = await listObjects();
  expect(objects).toEqual(
    expect.arrayContaining(["avatars.contacts", "avatars.enqueue", "avatars.migrations"]),
  );
  expect(objects.filter((object) => !object.startsWith("avatars."))).toEqual([]);
  const { rows } = await database.pool.query(
    "select nspname from pg_namespace where nspname !~ '^pg_' order by 1",
  );
  expect(rows).toEqual([{ nspname: "avatars" }, { nspname: "information_schema" }, { nspname: "public" }]);
});

test("a database without tables is told what to run first", async () => {
  await expect(assertMigrated(database.pool)).rejects.toMatchObject({
    code: "not-migrated",
    message: "the database holds no contact-avatars tables yet: run avatars migrate first",
  });
  await database.pool.query("create schema avatars");
  await expect(assertMigrated(database.pool)).rejects.toMatchObject({ code: "not-migrated" });
});

test("a database of an older version is told how far it is behind", async () => {
  await migrateLedger(database.pool);
  await database.pool.query(
    "delete from avatars.migrations where id = (select max(id) from avatars.migrations)",
  );
  await expect(assertMigrated(database.pool)).rejects.toMatchObject({
    code: "not-migrated",
    message: "the database is 1 migration(s) behind this version: run avatars migrate",
  });
});

test("a database of a newer version is left to work", async () => {
  await migrateLedger(database.pool);
  await database.pool.query("insert into avatars.migrations (hash, created_at) values ('later', 9e15)");
  await assertMigrated(database.pool);
  await migrateLedger(database.pool);
});

test("a role that may not create schemas is told so, without the database's own words", async () => {
  const role = { name: `poor_${name}`, password: "poor" };
  await runAsAdmin(`create role ${role.name} login password '${role.password}'`);
  const poor = await openDatabase({ url: toUrl(role), maxConnections: 1 });
  try {
    await expect(migrateLedger(poor.pool)).rejects.toMatchObject({
      code: "migration-failed",
      message: expect.stringMatching(
        /^the database cannot be migrated \(.*\): check that the role of DATABASE_URL may/,
      ),
    });
    // The connection is back, and the pool still works.
    await expect(assertMigrated(poor.pool)).rejects.toMatchObject({ code: "not-migrated" });
  } finally {
    await poor.close();
    await runAsAdmin(`drop role ${role.name}`);
  }
});

test("a failed migration does not keep the next one waiting", async () => {
  await database.pool.query("create schema avatars; create table avatars.instances (id int)");
  await expect(migrateLedger(database.pool)).rejects.toMatchObject({ code: "migration-failed" });
  await database.pool.query("drop table avatars.instances");
  await migrateLedger(database.pool);
  await assertMigrated(database.pool);
});
