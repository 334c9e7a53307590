import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { findBatchProgress } from "../../src/store/batches/find-batch-progress.ts";
import { addInstance, readContacts, toChatId } from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => database.close());

/** Calls `avatars.enqueue` as SQL with parameters, and returns the batch's id. */
async function enqueue(sql: string, values: unknown[]): Promise<string> {
  const { rows } = await database.pool.query<{ id: string }>(`select avatars.enqueue(${sql}) as id`, values);
  return rows[0]?.id ?? "";
}

const contactsOf = async (instanceId: InstanceId) => readContacts(database.pool, instanceId);

describe("avatars.enqueue", () => {
  test("takes contacts in, in any spelling, and returns a batch that is complete", async () => {
    const instanceId = await addInstance(database);
    const ids = ["79000000001@c.us", " +7 900 000-00-02@S.WhatsApp.Net", "79000000001@C.US"];
    const batchId = await enqueue("$1, $2", [instanceId, ids]);
    expect(await findBatchProgress(database.pool, batchId)).toMatchObject({
      instanceId,
      accepted: 2,
      duplicates: 1,
      rejected: 0,
      intakeComplete: true,
      pending: 2,
    });
    expect((await contactsOf(instanceId)).map(({ chat_id, priority }) => [chat_id, priority])).toEqual([
      [toChatId(1), 1],
      [toChatId(2), 1],
    ]);
  });

  test("takes priority, age, refs and label by name", async () => {
    const instanceId = await addInstance(database);
    const batchId = await enqueue(
      "$1, $2, priority => 0, max_age => '1 hour', external_refs => $3, label => 'signup'",
      [instanceId, [toChatId(1), toChatId(2)], ["crm-1", null]],
    );
    const { rows } = await database.pool.query(
      "select source, label, priority, requested_at - fresh_after = interval '1 hour' as age from avatars.batches where id = $1",
      [batchId],
    );
    expect(rows).toEqual([{ source: "sql", label: "signup", priority: 0, age: true }]);
    expect((await contactsOf(instanceId)).map(({ external_ref }) => external_ref)).toEqual(["crm-1", null]);
  });

  test("gives turns in the order of the array, after those that have come already", async () => {
    const instanceId = await addInstance(database);
    await database.pool.query("update avatars.instances set turns = '{7,3,0}' where id = $1", [instanceId]);
    await enqueue("$1, $2, priority => 0", [instanceId, [3, 1, 2].map(toChatId)]);
    const batchId = await enqueue("$1, $2", [instanceId, [5, 4].map(toChatId)]);
    const { rows } = await database.pool.query(
      "select chat_id, turn::int from avatars.contacts where instance_id = $1 order by priority, turn",
      [instanceId],
    );
    expect(rows).toEqual(
      [3, 1, 2, 5, 4].map((index, place) => ({ chat_id: toChatId(index), turn: [8, 9, 10, 4, 5][place] })),
    );
    const batch = await database.pool.query("select last_turn::int from avatars.batches where id = $1", [
      batchId,
    ]);
    expect(batch.rows).toEqual([{ last_turn: 5 }]);
  });

  test("in a transaction that rolls back leaves nothing; in one that commits, all of it", async () => {
    const instanceId = await addInstance(database);
    const client = await database.pool.connect();
    const count = async () =>
      (
        await database.pool.query<{ n: number }>(
          "select count(*)::int as n from avatars.batches where instance_id = $1",
          [instanceId],
        )
      ).rows[0]?.n;
    try {
      for (const [end, batches] of [
        ["rollback", 0],
        ["commit", 1],
      ] as const) {
        await client.query("begin");
        await client.query("create table public.customer (chat_id text)");
        await client.query("select avatars.enqueue($1, $2)", [instanceId, [toChatId(1)]]);
        expect(await contactsOf(instanceId)).toEqual([]);
        await client.query(end);
        expect(await count()).toBe(batches);
        expect(await contactsOf(instanceId)).toHaveLength(batches);
      }
    } finally {
      client.release();
    }
  });

  test("may be called by a role that may do no more than use the schema", async () => {
    const instanceId = await addInstance(database);
    const role = `crm_${instanceId}`;
    await database.pool.query(`create role ${role} login password 'crm'`);
    const url = new URL(database.url);
    url.username = role;
    url.password = "crm";
    const crm = new pg.Client(url.href);
    await crm.connect();
    try {
      const call = async () => crm.query("select avatars.enqueue($1, $2)", [instanceId, [toChatId(1)]]);
      await expect(call()).rejects.toMatchObject({ code: "42501" });
      await database.pool.query(`grant usage on schema avatars to ${role}`);
      await call();
      expect(await contactsOf(instanceId)).toHaveLength(1);
      for (const sql of [
        "select * from avatars.instances",
        "select * from avatars.contacts",
        "delete from avatars.batches",
      ]) {
        await expect(crm.query(sql)).rejects.toMatchObject({ code: "42501" });
      }
    } finally {
      await crm.end();
      await database.pool.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  test("does not look for its tables in the caller's search path", async () => {
    const instanceId = await addInstance(database);
    const client = await database.pool.connect();
    try {
      await client.query("begin");
      await client.query(
        "create function pg_temp.now() returns timestamptz language sql as $$ select 'epoch'::timestamptz $$",
      );
      await client.query("set local search_path = pg_temp");
      await client.query("select avatars.enqueue($1, $2)", [instanceId, [toChatId(1)]]);
      await client.query("commit");
    } finally {
      client.release();
    }
    const [contact] = await contactsOf(instanceId);
    expect(contact?.wanted_at?.getTime()).toBeGreaterThan(0);
    expect(contact?.is_due).toBe(true);
  });

  const known = "known";
  test.each<[string, unknown[], string, string | RegExp]>([
    ["$1, $2", [known, []], "22023", "chat_ids is empty"],
    ["$1, null", [known], "22023", "chat_ids is empty"],
    ["$1, $2", [known, [["1@c.us"], ["2@c.us"]]], "22023", "one-dimensional"],
    ["$1, '[0:1]={79000000001@c.us,79000000002@c.us}'", [known], "22023", "one-dimensional"],
    ["$1, $2, 3", [known, [toChatId(1)]], "22023", "priority must be"],
    ["$1, $2, -1", [known, [toChatId(1)]], "22023", "priority must be"],
    ["$1, $2, null", [known, [toChatId(1)]], "22023", "priority must be"],
    ["$1, $2, max_age => '-1 second'", [known, [toChatId(1)]], "22023", "max_age"],
    ["$1, $2, max_age => null", [known, [toChatId(1)]], "22023", "max_age"],
    [
      "$1, $2, external_refs => $3",
      [known, [toChatId(1)], ["a", "b"]],
      "22023",
      "2 elements, chat_ids has 1",
    ],
    ["$1, $2", ["999", [toChatId(1)]], "23503", "unknown instance '999'"],
    ["$1, $2", [null, [toChatId(1)]], "23503", "unknown instance null"],
    ["$1, $2", [known, [toChatId(1), null]], "22023", "not a chat id: null"],
    [
      "$1, $2",
      [known, ["79000000001", toChatId(1), "x@c.us"]],
      "22023",
      /not a chat id: '79000000001', 'x@c.us'$/,
    ],
    ["$1, $2", [known, ["y".repeat(5_000)]], "22023", /^not a chat id: 'y{60}'$/],
  ])("(%s) with %j is refused", async (sql, values, code, message) => {
    const instanceId = await addInstance(database);
    const call = enqueue(
      sql,
      values.map((value) => (value === known ? instanceId : value)),
    );
    await expect(call).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await contactsOf(instanceId)).toEqual([]);
  });

  test("names a bad id even where it stands behind thousands of good ones", async () => {
    const instanceId = await addInstance(database);
    const ids = [...Array.from({ length: 3_000 }, (_, index) => toChatId(index)), "bad"];
    await expect(enqueue("$1, $2", [instanceId, ids])).rejects.toMatchObject({
      code: "22023",
      message: "not a chat id: element 3001",
    });
  });
});
