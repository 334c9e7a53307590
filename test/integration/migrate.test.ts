import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { parseAvatarUrl } from "../../src/provider/avatar-url.ts";
import { openDatabase, type Database } from "../../src/store/postgres/database.ts";
import { assertMigrated, migrateLedger } from "../../src/store/postgres/migrate.ts";
import { eventually } from "../support/eventually.ts";
import { readWronglyListed } from "../support/ledger.ts";
import { migrateUpTo } from "../support/migrate-up-to.ts";
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

test("an upgrade from before the resync lets each contact that rests be due by its answer, and keeps its history", async () => {
  const { pool } = database;
  await migrateUpTo(database.pool, "0005_http_api");
  await pool.query(`
    insert into avatars.instances (id, api_url, sealed_token) values ('1', 'u', 't');
    insert into avatars.contacts (instance_id, chat_id, status, checked_at, due_at, wanted_at, external_ref)
    select '1', 79000000000 + n || '@c.us', c.status, c.checked_at, c.due_at, c.due_at, c.ref
    from (values
      (1, 'present', timestamptz '2026-11-20', null::timestamptz, 'present'),
      (2, 'present', '2026-11-20', null, 'URL expires'),
      (3, 'absent', '2026-11-20', null, 'absent'), (4, 'hidden', '2026-11-20', null, 'hidden'),
      (5, 'unreachable', '2026-11-20', null, 'unreachable'), (6, 'invalid', '2026-11-20', null, 'invalid'),
      (7, 'unknown', null, null, 'given up'), (8, 'unknown', null, '2026-11-20', 'waits')) as c (n, status, checked_at, due_at, ref);
    insert into avatars.avatars (contact_id, url, url_expires_at, version, changed_at, seen_at)
    select id, 'u', case external_ref when 'URL expires' then timestamptz '2026-11-24' else '2027-11-24' end, 'v1',
      '2026-10-01', '2026-10-01' from avatars.contacts where status = 'present';
    update avatars.avatars set version = 'v2', changed_at = '2026-11-01', seen_at = '2026-11-20';`);
  await migrateLedger(pool);
  const { rows } = await pool.query(
    `select external_ref as ref, refresh_step as step, round(extract(epoch from refresh_at - checked_at) / 86400)::int as days,
       refresh_at is null as never, a.changes, a.first_seen_at as since
     from avatars.contacts c left join avatars.avatars a on a.contact_id = c.id order by c.id`,
  );
  const since = new Date("2026-10-01T00:00:00Z");
  const none = { changes: null, since: null };
  expect(rows).toEqual([
    { ref: "present", step: 30, days: 7, never: false, changes: 1, since },
    { ref: "URL expires", step: -1, days: 3, never: false, changes: 1, since },
    { ref: "absent", step: 34, days: 13, never: false, ...none },
    { ref: "hidden", step: 38, days: 29, never: false, ...none },
    { ref: "unreachable", step: 18, days: 1, never: false, ...none },
    { ref: "invalid", step: -2, days: null, never: true, ...none },
    { ref: "given up", step: -2, days: null, never: false, ...none },
    { ref: "waits", step: -2, days: null, never: true, ...none },
  ]);
});

test("an upgrade names what a batch under removal and a stream that was cut off were known by", async () => {
  const { pool } = database;
  await migrateUpTo(database.pool, "0008_sql_surface");
  await pool.query(`
    insert into avatars.instances (id, api_url, sealed_token) values ('1', 'u', 't');
    insert into avatars.batches (instance_id, source, label, requested_at, fresh_after, completed_intake_at, cancelled_at, finished_at)
    values ('1', 'api', 'done', '2026-10-01', now(), '2026-10-02', null, '2026-10-03'),
      ('1', 'api', 'open', '2026-10-01', now(), '2026-10-02', null, null),
      ('1', 'api', 'removing', '2026-10-01', now(), '2026-10-02', null, '-infinity'),
      ('1', 'api', 'removing a cancelled one', '2026-10-01', now(), null, '2026-10-04', '-infinity');
    insert into avatars.idempotency_keys (api_key_id, key, fingerprint, batch_id, answer)
    select 'k', b.label, case b.label when 'done' then 'f' end, b.id, '{}' from avatars.batches b where b.label in ('done', 'open')`);
  await migrateLedger(pool);
  const { rows: batches } = await pool.query(
    "select label, removing_at is not null as removing, finished_at::date::text as finished from avatars.batches order by label",
  );
  expect(batches).toEqual([
    { label: "done", removing: false, finished: "2026-10-03" },
    { label: "open", removing: false, finished: null },
    { label: "removing", removing: true, finished: "2026-10-02" },
    { label: "removing a cancelled one", removing: true, finished: "2026-10-04" },
  ]);
  const { rows: keys } = await pool.query("select key, kind from avatars.idempotency_keys order by key");
  expect(keys).toEqual([
    { key: "done", kind: "answered" },
    { key: "open", kind: "cut-off" },
  ]);
});

test("an upgrade gives each avatar the version of the next answer, so that none of them is told as a change", async () => {
  const { pool } = database;
  const path = "/v/t61.24694-24/328905012_7301_n.jpg";
  const urls = [
    `https://pps.whatsapp.net${path}?oe=66041D5F`,
    `https://MEDIA.cdn.whatsapp.net:443${path}`,
    `http://127.0.0.1:40123${path}?oh=1`,
    "https://i.oneme.ru/i?fn=w_1&r=BTGBPUwt&x=1#r=2",
    "https://i.oneme.ru/i?er=1",
    "https://cdn.test/i?r=BTGBPUwt",
    "https://cdn.test/ü.jpg",
    "https://notwhatsapp.net/a.jpg",
  ];
  await migrateUpTo(database.pool, "0012_audit");
  await pool.query("insert into avatars.instances (id, api_url, sealed_token) values ('1', 'u', 't')");
  await pool.query(
    `with added as (
       insert into avatars.contacts (instance_id, chat_id, external_ref)
       select '1', 79000000000 + n || '@c.us', url from unnest($1::text[]) with ordinality u (url, n)
       returning id, external_ref)
     insert into avatars.avatars (contact_id, url, version, changed_at, seen_at)
     select id, external_ref, $2, now(), now() from added`,
    [urls, path],
  );
  await pool.query(`
    insert into avatars.contacts (instance_id, chat_id) values ('1', '79110000001@c.us'), ('1', '79110000002@c.us');
    insert into avatars.avatars (contact_id, version, changed_at, seen_at)
    select id, case chat_id when '79110000001@c.us' then 'sha256:00' end, now(), now()
    from avatars.contacts where external_ref is null`);
  const countChanges = async () =>
    (await pool.query("select count(*)::int as changes from avatars.avatar_changes")).rows;
  const before = await countChanges();
  await migrateLedger(pool);
  expect(await countChanges()).toEqual(before);
  const { rows } = await pool.query<{ url: string | null; version: string | null }>(
    "select url, version from avatars.avatars order by contact_id",
  );
  expect(rows).toEqual([
    ...urls.map((url) => ({ url, version: parseAvatarUrl(url)?.version })),
    { url: null, version: "sha256:00" },
    { url: null, version: null },
  ]);
});

test("a migration that an open transaction is in the way of names it, changes nothing, and works when it has ended", async () => {
  await migrateUpTo(database.pool, "0006_resync");
  await database.pool.query(
    "insert into avatars.instances (id, api_url, sealed_token) values ('1', 'u', 't')",
  );
  const crm = await database.pool.connect();
  const waits = { gateMs: 1_000, lockMs: 50, tries: 2 };
  try {
    await crm.query("begin");
    await crm.query("select avatars.enqueue('1', array['79000000001@c.us'])");
    await expect(migrateLedger(database.pool, waits)).rejects.toMatchObject({
      code: "migration-waits",
      message: expect.stringMatching(
        /^the database cannot be migrated while a transaction of the role \S+ \(process \d+, open for \d+ s\) holds its tables/,
      ),
    });
    await expect(assertMigrated(database.pool)).rejects.toMatchObject({ code: "not-migrated" });
    await crm.query("commit");
  } finally {
    crm.release(true);
  }
  await migrateLedger(database.pool, { ...waits, lockMs: 10_000 });
  await assertMigrated(database.pool);
});

test("a migration waits for a save that is under way, and neither of them fails", async () => {
  const { pool } = database;
  await migrateUpTo(pool, "0018_kinds_of_chats");
  const saving = await pool.connect();
  try {
    await saving.query(`begin; insert into avatars.instances (id, api_url, sealed_token) values ('1', 'u', 't');
      insert into avatars.contacts (instance_id, chat_id, status) values ('1', '79000000001@c.us', 'present')`);
    const migrated = migrateLedger(pool);
    const sql = "select from pg_locks where not granted and relation = 'avatars.contacts'::regclass";
    await eventually(async () => expect((await pool.query(sql)).rowCount).toBe(1));
    await saving.query(`insert into avatars.avatars (contact_id, url, version, changed_at, seen_at)
      select id, 'u', 'v', now(), now() from avatars.contacts; commit`);
    await migrated;
  } finally {
    saving.release(true);
  }
  expect((await pool.query("select from avatars.contact_statuses")).rowCount).toBe(1);
});

test("an upgrade lists contacts as before, also where a worker of before it saves their first answers", async () => {
  const { pool } = database;
  await migrateUpTo(pool, "0019_contact_lists");
  await pool.query(`insert into avatars.instances (id, api_url, sealed_token) values ('1', 'u', 't');
    insert into avatars.contacts (instance_id, chat_id, status) values
      ('1', '79000000001@c.us', 'present'), ('1', '79000000002@c.us', 'unknown'), ('1', '79000000003@c.us', 'unknown')`);
  await migrateLedger(pool);
  const { rows } = await pool.query("select status from avatars.contact_statuses");
  expect(rows).toEqual([{ status: "present" }]);
  await pool.query(`begin; set local avatars.changes_told_by = 'statement';
    update avatars.contacts set status = 'hidden' where chat_id like '%2@c.us'; commit`);
  expect((await pool.query("select from avatars.contact_statuses")).rowCount).toBe(2);
  expect(await readWronglyListed(pool)).toEqual([]);
});

test("a migration waits for another one no longer than it is told to", async () => {
  await migrateLedger(database.pool);
  const other = await database.pool.connect();
  try {
    await other.query("begin; lock table avatars.migration_gate in exclusive mode");
    const waits = { gateMs: 50, lockMs: 50, tries: 1 };
    await expect(migrateLedger(database.pool, waits)).rejects.toMatchObject({
      code: "migration-waits",
      message: expect.stringMatching(/^another process has been migrating/),
    });
  } finally {
    other.release(true);
  }
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
