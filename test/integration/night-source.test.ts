import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { createNightSource } from "../../src/app/night-source.ts";
import {
  absent,
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  paceSettings,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";

const now = new Date("2026-11-27T02:00:00Z");
const query = "select phone, id as external_ref from customers where active order by id";

let database: TestDatabase;
let crm: TestDatabase;
let instanceId: InstanceId;
let told: object[];
beforeAll(async () => {
  [database, crm] = await Promise.all([openTestDatabase(), openTestDatabase()]);
  await crm.pool.query(
    "create table public.customers (id text primary key, phone text, active boolean not null default true)",
  );
});
afterAll(() => Promise.all([database.close(), crm.close()]));
beforeEach(async () => {
  told = [];
  await database.pool.query("truncate avatars.instances cascade");
  await crm.pool.query("truncate public.customers");
  instanceId = await addInstance(database);
  await addCustomers(6);
});

const note = (fields: object) => void told.push(fields);

/** `+79000000001` and so on. */
async function addCustomers(count: number, from = 1): Promise<void> {
  await crm.pool.query(
    "insert into public.customers select 'CRM-' || n, '+' || (79000000000 + n) from generate_series($1::int, $2::int) as n",
    [from, from + count - 1],
  );
}

function readNightly(env: Record<string, string> = {}, signal = new AbortController().signal) {
  const config = readConfig({
    AVATARS_SOURCE_URL: crm.url,
    AVATARS_SOURCE_QUERY: query,
    AVATARS_SOURCE_GONE: "stop",
    ...env,
  });
  const events = { sourceRead: note, sourceFailed: note, ledgerFailed: note } as never;
  return createNightSource({ config, events }, database)(now, signal);
}

async function readContacts() {
  const { rows } = await database.pool.query(
    `select external_ref as ref, status, refresh_at is not null as refreshes, refresh_step as step, is_listed as listed,
       due_at is not null as due from avatars.contacts order by chat_id`,
  );
  return rows;
}

async function versions() {
  const { rows } = await database.pool.query("select xmin::text, id from avatars.contacts order by id");
  return rows;
}

const isNew = (ref: string) => ({
  ref,
  status: "unknown",
  refreshes: true,
  step: -2,
  listed: true,
  due: false,
});

describe("the query of a night", () => {
  test("brings in contacts that are new, at rest and before all others, and names rows that are none", async () => {
    await crm.pool.query(
      "insert into public.customers values ('CRM-7', 'ask Maria'), ('CRM-8', '+7 900 000 00 01')",
    );
    expect(await readNightly()).toEqual({ added: 6, gone: 0, rejected: 1, error: undefined });
    // Of duplicates, the last reference stays.
    expect(await readContacts()).toEqual(["CRM-8", "CRM-2", "CRM-3", "CRM-4", "CRM-5", "CRM-6"].map(isNew));
    expect(told).toEqual([{ added: 6, gone: 0, rejected: 1, rejectedRows: [7] }]);
  });

  test("writes nothing in the next night where nothing has changed, and brings references up to date", async () => {
    await readNightly();
    const before = await versions();
    expect(await readNightly()).toMatchObject({ added: 0, gone: 0 });
    expect(await versions()).toEqual(before);
    await crm.pool.query("update public.customers set id = 'NEW-3' where id = 'CRM-3'");
    await readNightly();
    expect((await readContacts()).map(({ ref }) => ref)).toEqual([
      "CRM-1",
      "CRM-2",
      "NEW-3",
      "CRM-4",
      "CRM-5",
      "CRM-6",
    ]);
  });

  test("locks nothing that has not changed: whoever works on it is not kept waiting, nor waited for", async () => {
    await readNightly();
    const worker = await database.pool.connect();
    try {
      await worker.query("begin");
      await worker.query("select from avatars.contacts for update");
      await addCustomers(1, 50);
      expect(await readNightly()).toMatchObject({ added: 1, error: undefined });
    } finally {
      await worker.query("rollback");
      worker.release();
    }
  });

  test("leaves a contact alone that somebody waits for, but for its reference", async () => {
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    expect(await readNightly()).toMatchObject({ added: 5 });
    expect((await readContacts())[0]).toMatchObject({ ref: "CRM-1", due: true, listed: true });
  });
});

describe("contacts that are gone from the list", () => {
  test("rest for good, until they come back, or somebody asks for them", async () => {
    await readNightly();
    await crm.pool.query("update public.customers set active = false where id in ('CRM-1', 'CRM-2')");
    expect(await readNightly()).toEqual({ added: 0, gone: 2, rejected: 0, error: undefined });
    expect((await readContacts()).map(({ refreshes }) => refreshes)).toEqual([
      false,
      false,
      true,
      true,
      true,
      true,
    ]);
    // Each is gone once.
    expect(await readNightly()).toMatchObject({ gone: 0 });
    await askFor(1);
    const [asked] = await readContacts();
    expect(asked).toMatchObject({ status: "absent", refreshes: false, listed: false });
    await crm.pool.query("update public.customers set active = true where id = 'CRM-2'");
    await readNightly();
    expect((await readContacts())[1]).toMatchObject({ refreshes: true, listed: true });
  });

  test("go on where that is not wanted; those that never were in the list always do", async () => {
    await acceptContacts(database.pool, instanceId, [toChatId(900)]);
    await readNightly({ AVATARS_SOURCE_GONE: "keep" });
    await crm.pool.query("update public.customers set active = false where id = 'CRM-1'");
    expect(await readNightly({ AVATARS_SOURCE_GONE: "keep" })).toMatchObject({ gone: 0 });
    expect((await readContacts())[0]).toMatchObject({ refreshes: true });
    await readNightly();
    const contacts = await readContacts();
    expect(contacts[0]).toMatchObject({ refreshes: false });
    expect(contacts.at(-1)).toMatchObject({ ref: null, due: true, listed: null });
  });

  test("are not believed to be more than half of them, nor all", async () => {
    await readNightly();
    const before = await readContacts();
    await crm.pool.query("update public.customers set active = false where id <> 'CRM-1' and id <> 'CRM-2'");
    expect(await readNightly()).toMatchObject({ gone: 0, error: "too-many-gone" });
    await crm.pool.query("update public.customers set active = false");
    expect(await readNightly()).toMatchObject({ gone: 0, error: "source-empty" });
    expect(await readContacts()).toEqual(before);
  });

  test("are not believed where the list is another one altogether", async () => {
    await readNightly();
    await crm.pool.query("truncate public.customers");
    await addCustomers(6, 100);
    expect(await readNightly()).toMatchObject({ added: 6, gone: 0, error: "too-many-gone" });
    expect((await readContacts()).every(({ refreshes }) => refreshes)).toBe(true);
  });

  test("are told apart also among many, a window at a time", async () => {
    await addCustomers(11_994, 7);
    expect(await readNightly()).toMatchObject({ added: 12_000 });
    await crm.pool.query(
      "update public.customers set active = false where id in ('CRM-1', 'CRM-5000', 'CRM-5001', 'CRM-12000')",
    );
    expect(await readNightly()).toMatchObject({ gone: 4 });
  });
});

describe("a source that fails", () => {
  test.each([
    ["a query that is wrong", { AVATARS_SOURCE_QUERY: "select phone from nobody" }, "source-query"],
    [
      "a query that writes",
      { AVATARS_SOURCE_QUERY: "delete from customers returning phone" },
      "source-query",
    ],
    ["an instance that is not there", { AVATARS_SOURCE_INSTANCE: "999" }, "unknown-instance"],
    ["a country that is none", { AVATARS_SOURCE_DEFAULT_COUNTRY: "XX" }, "unknown-country"],
  ])("does not keep the night from beginning: %s", async (_name, env, code) => {
    expect(await readNightly(env)).toEqual({ added: 0, gone: 0, rejected: 0, error: code });
    expect(told).toEqual([{ code, text: expect.not.stringContaining("\n"), willRetry: false }]);
    const { rows } = await crm.pool.query("select count(*)::int as customers from public.customers");
    expect(rows).toEqual([{ customers: 6 }]);
  });

  test("and several instances to choose from are no reason to guess", async () => {
    await addInstance(database);
    expect(await readNightly()).toMatchObject({ error: "several-instances" });
  });

  test("because this process stops leaves the night to others", async () => {
    const stop = new AbortController();
    stop.abort();
    await expect(readNightly({}, stop.signal)).rejects.toThrow();
  });
});

/** A batch asks for one contact, and has its answer. */
async function askFor(index: number): Promise<void> {
  await acceptContacts(database.pool, instanceId, [toChatId(index)]);
  const ledger = createRunLedger(database, paceSettings);
  const asked = await ask(ledger, instanceId);
  expect(asked.contacts).toHaveLength(1);
  const record = toRecord(asked.contacts[0]!.contactId, asked.epoch, Date.now(), absent);
  await ledger.saveLookups([{ ...record, refresh: { at: new Date(Date.now() + 1e9), step: 30 } }]);
  await giveBack(ledger, instanceId, asked);
}
