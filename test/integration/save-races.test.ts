import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import {
  absent,
  acceptContacts,
  addInstance,
  ask,
  paceSettings,
  present,
  readContacts,
  readDatabaseNow,
  release,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";
import { waitForLock } from "../support/wait-for-lock.ts";

let database: TestDatabase;
let ledger: RunLedger;
let instanceId: InstanceId;
let epoch: number;
/** The first one, and the one whose saves are raced for. */
let firstId: number;
let racedId: number;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());
beforeEach(async () => {
  instanceId = await addInstance(database);
  await acceptContacts(database.pool, instanceId, [toChatId(1), toChatId(2)]);
  const asked = await ask(ledger, instanceId);
  ({ epoch } = asked);
  [firstId, racedId] = asked.contacts.map(({ contactId }) => contactId) as [number, number];
});

const save = async (answers: readonly (readonly [number, number, ContactDecision])[]) =>
  ledger.saveLookups(
    answers.map(([contactId, askedAtMs, decision]) => toRecord(contactId, epoch, askedAtMs, decision)),
  );

/**
 * Begins to save the slow answer, which waits at the avatar of the contact before it. Saves the quick one meanwhile, which the slow
 * statement's snapshot does not have.
 */
async function race(quick: readonly [number, ContactDecision], slow: readonly [number, ContactDecision]) {
  const nowMs = await readDatabaseNow(database.pool);
  await save([[firstId, nowMs, present("/first.jpg")]]);
  const holder = await database.pool.connect();
  let saving: Promise<unknown>;
  try {
    await holder.query("begin");
    await holder.query("select from avatars.avatars where contact_id = $1 for no key update", [firstId]);
    saving = save([
      [firstId, nowMs + 1, present("/first.jpg")],
      [racedId, slow[0], slow[1]],
    ]);
    await waitForLock(database.pool);
    await save([[racedId, quick[0], quick[1]]]);
  } finally {
    await holder.query("commit");
    holder.release();
  }
  await saving;
  const [, raced] = await readContacts(database.pool, instanceId);
  return raced;
}

describe("an answer that is saved while another save of the contact waits", () => {
  test("is the one that the later answer's change is from, also where it was the contact's first", async () => {
    const nowMs = await readDatabaseNow(database.pool);
    const raced = await race([nowMs, present("/a.jpg")], [nowMs + 1, present("/b.jpg")]);
    expect(raced).toMatchObject({
      version: "/b.jpg",
      due_at: null,
      in_flight_epoch: null,
      changes: [">/a.jpg", "/a.jpg>/b.jpg"],
    });
  });

  test("is the one that the later answer's change is from, where an avatar was known before", async () => {
    const nowMs = await readDatabaseNow(database.pool);
    await save([[racedId, nowMs - 10, present("/old.jpg")]]);
    const raced = await race([nowMs, absent], [nowMs + 1, present("/b.jpg")]);
    expect(raced).toMatchObject({ version: "/b.jpg", changes: [">/old.jpg", "/old.jpg>", ">/b.jpg"] });
  });

  test("stays where the other was asked for before it", async () => {
    const nowMs = await readDatabaseNow(database.pool);
    const raced = await race([nowMs, present("/b.jpg")], [nowMs - 1, present("/a.jpg")]);
    expect(raced).toMatchObject({ version: "/b.jpg", status: "present", changes: [">/b.jpg"] });
  });

  test("has put the contact at rest, and the other's release changes nothing", async () => {
    const nowMs = await readDatabaseNow(database.pool);
    const raced = await race([nowMs, present("/a.jpg")], [nowMs + 1, release]);
    expect(raced).toMatchObject({ due_at: null, turn: null, last_error: null, attempts: 1 });
  });
});

describe("the history", () => {
  test("is told by a trigger of what no save has written", async () => {
    const nowMs = await readDatabaseNow(database.pool);
    await save([[racedId, nowMs, present("/a.jpg")]]);
    await database.pool.query("update avatars.avatars set version = '/by-hand.jpg' where contact_id = $1", [
      racedId,
    ]);
    const [, contact] = await readContacts(database.pool, instanceId);
    expect(contact).toMatchObject({ changes: [">/a.jpg", "/a.jpg>/by-hand.jpg"] });
  });
});
