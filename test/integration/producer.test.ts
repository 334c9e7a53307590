import pg from "pg";
import { afterAll, beforeAll, describe, expect, expectTypeOf, onTestFinished, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { createProducer, UserError, type Queryable } from "../../src/producer/create-producer.ts";
import { findBatchProgress } from "../../src/store/batches/find-batch-progress.ts";
import { addInstance, readContacts, toChatId } from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => database.close());

const contactsOf = async (instanceId: InstanceId) => readContacts(database.pool, instanceId);

async function readBatch(batchId: string | undefined) {
  const { rows } = await database.pool.query(
    "select source, label, priority, requested_at - fresh_after = interval '12 hours' as aged from avatars.batches where id = $1",
    [batchId],
  );
  return rows[0] as unknown;
}

/** A connection of this role, or of the owner. */
async function connect(role?: string): Promise<pg.Client> {
  const url = new URL(database.url);
  if (role !== undefined) [url.username, url.password] = [role, "crm"];
  const client = new pg.Client(url.href);
  await client.connect();
  onTestFinished(async () => client.end());
  return client;
}

/** Stands for a database that must not be asked. */
const untouched: Queryable = {
  query: () => Promise.reject(new Error("it was asked")),
};

describe("a producer", () => {
  test("enqueues chat ids and phone numbers, and tells which items are neither", async () => {
    const instanceId = await addInstance(database);
    const enqueued = await createProducer(database.pool).enqueue({
      instanceId,
      chatIds: [toChatId(1), "+7 900 000-00-02", "nobody", "79000000001", "", "https://wa.me/79000000003"],
    });
    expect(enqueued).toEqual({
      batchId: expect.any(String),
      accepted: 3,
      duplicates: 1,
      rejected: [
        { index: 2, reason: expect.any(String) },
        { index: 4, reason: "empty" },
      ],
    });
    expect(await findBatchProgress(database.pool, enqueued.batchId ?? "")).toMatchObject({
      instanceId,
      accepted: 3,
      duplicates: 1,
      intakeComplete: true,
      pending: 3,
    });
    expect((await contactsOf(instanceId)).map(({ chat_id }) => chat_id)).toEqual([1, 2, 3].map(toChatId));
  });

  test("takes refs, priority, age and label", async () => {
    const instanceId = await addInstance(database);
    const { batchId } = await createProducer(database.pool).enqueue({
      instanceId: Number(instanceId),
      contacts: [
        { chatId: toChatId(1), externalRef: " crm-1 " },
        { phone: "nobody", externalRef: "crm-2" },
        { phone: "+79000000003", externalRef: "crm-3" },
        { chatId: toChatId(4), externalRef: null },
        { phone: 7900 as never },
      ],
      priority: 0,
      maxAge: "12h",
      label: "signup",
    });
    expect(await readBatch(batchId)).toEqual({ source: "sql", label: "signup", priority: 0, aged: true });
    const contacts = await contactsOf(instanceId);
    expect(contacts.map(({ chat_id, external_ref }) => [chat_id, external_ref])).toEqual([
      [toChatId(1), "crm-1"],
      [toChatId(3), "crm-3"],
      [toChatId(4), null],
    ]);
    const request = { instanceId, chatIds: [toChatId(5)], maxAge: 12 * 3600 };
    expect(await readBatch((await createProducer(database.pool).enqueue(request)).batchId)).toEqual({
      source: "sql",
      label: null,
      priority: 1,
      aged: true,
    });
  });

  test("takes part in the caller's own transaction", async () => {
    const instanceId = await addInstance(database);
    const client = await database.pool.connect();
    try {
      const producer = createProducer(client);
      for (const [end, count] of [
        ["rollback", 0],
        ["commit", 2],
      ] as const) {
        await client.query("begin");
        await client.query("create temporary table customer (chat_id text) on commit drop");
        await producer.enqueue({ instanceId, chatIds: [toChatId(1), toChatId(2)] });
        expect(await contactsOf(instanceId)).toEqual([]);
        await client.query(end);
        expect(await contactsOf(instanceId)).toHaveLength(count);
      }
    } finally {
      client.release();
    }
  });

  test("writes nothing where no item is a contact", async () => {
    expect(await createProducer(untouched).enqueue({ instanceId: "1", chatIds: ["nobody"] })).toEqual({
      batchId: undefined,
      accepted: 0,
      duplicates: 0,
      rejected: [{ index: 0, reason: expect.any(String) }],
    });
  });

  test.each<[string, Record<string, unknown>]>([
    ["an instance id that is none", { instanceId: "x" }],
    ["no contacts", { chatIds: [] }],
    ["neither list", { chatIds: undefined }],
    ["both lists", { contacts: [{ chatId: toChatId(1) }] }],
    ["another priority", { priority: 3 }],
    ["an age that is none", { maxAge: "soon" }],
    ["a negative age", { maxAge: -1 }],
    ["a label that is too long", { label: "x".repeat(201) }],
    ["a label that cannot be stored", { label: "a\0" }],
    [
      "a ref that cannot be stored",
      { chatIds: undefined, contacts: [{ chatId: toChatId(1), externalRef: "\ud800" }] },
    ],
  ])("refuses %s before the database is asked, so that a transaction may go on", async (_, wrong) => {
    const request = { instanceId: "1101000001", chatIds: [toChatId(1)], ...wrong };
    await expect(createProducer(untouched).enqueue(request as never)).rejects.toMatchObject({
      name: "UserError",
      code: "invalid-request",
    });
  });

  test("says what is missing: the instance, the right, the schema", async () => {
    const instanceId = await addInstance(database);
    const request = { instanceId, chatIds: [toChatId(1)] };
    const unknown = createProducer(database.pool).enqueue({ ...request, instanceId: "99999" });
    await expect(unknown).rejects.toBeInstanceOf(UserError);
    await expect(unknown).rejects.toMatchObject({ code: "unknown-instance", cause: { code: "23503" } });

    const role = `crm_${instanceId}`;
    await database.pool.query(`create role ${role} login password 'crm'`);
    onTestFinished(async () => void (await database.pool.query(`drop owned by ${role}; drop role ${role}`)));
    const crm = createProducer(await connect(role));
    await expect(crm.enqueue(request)).rejects.toMatchObject({ code: "not-permitted" });
    await database.pool.query(`grant usage on schema avatars to ${role}`);
    expect(await crm.enqueue(request)).toMatchObject({ accepted: 1 });

    const elsewhere = await connect();
    await elsewhere.query("begin");
    await elsewhere.query("alter schema avatars rename to moved");
    await expect(createProducer(elsewhere).enqueue(request)).rejects.toMatchObject({ code: "not-migrated" });
    await elsewhere.query("rollback");
  });

  test("passes on what the database client fails with", async () => {
    const failure = new Error("it was asked");
    const db = { query: () => Promise.reject(failure) };
    await expect(createProducer(db).enqueue({ instanceId: "1", chatIds: [toChatId(1)] })).rejects.toBe(
      failure,
    );
  });

  test("makes one batch of 12,000 contacts, and lets others work meanwhile", async () => {
    const instanceId = await addInstance(database);
    let turns = 0;
    let isAsked = false;
    const work = () => {
      turns += 1;
      if (!isAsked) setImmediate(work);
    };
    const db: Queryable = {
      async query(sql, values) {
        isAsked = true;
        return database.pool.query(sql, values);
      },
    };
    work();
    const chatIds = Array.from({ length: 12_000 }, (_, index) => `+7 900 ${1_000_000 + index}`);
    const enqueued = await createProducer(db).enqueue({ instanceId, chatIds });
    expect(enqueued).toMatchObject({ accepted: 12_000, duplicates: 0, rejected: [] });
    expect(turns).toBeGreaterThanOrEqual(6);
    const { rows } = await database.pool.query(
      "select count(*)::int as members, count(distinct batch_id)::int as batches from avatars.batch_members where batch_id = $1",
      [enqueued.batchId],
    );
    expect(rows).toEqual([{ members: 12_000, batches: 1 }]);
  });

  test("works with whatever pg connects by", () => {
    expectTypeOf<pg.Pool>().toExtend<Queryable>();
    expectTypeOf<pg.Client>().toExtend<Queryable>();
    expectTypeOf<pg.PoolClient>().toExtend<Queryable>();
  });
});
