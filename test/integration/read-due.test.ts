import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DueRequest, Place, QueuedContact } from "../../src/domain/ledger/due-queue.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { openDatabase, type Database } from "../../src/store/postgres/database.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { openDueRun } from "../support/due-run.ts";
import {
  acceptContacts,
  addInstance,
  ask,
  paceSettings,
  readAllDue,
  readContacts,
  readDatabaseNow,
  release,
  retry,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { noPast } from "../support/refresh.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let leases: Database;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  leases = await openDatabase({ url: database.url, maxConnections: 4, readsByIndex: true });
  ledger = createRunLedger(database, paceSettings, leases);
});
afterAll(async () => {
  await leases.close();
  await database.close();
});

const chatIds = (count: number) => Array.from({ length: count }, (_, index) => toChatId(index));

async function openInstance(contacts = 1): Promise<InstanceId> {
  const instanceId = await addInstance(database);
  await acceptContacts(database.pool, instanceId, chatIds(contacts));
  return instanceId;
}

async function set(instanceId: InstanceId, assignment: string, where = "true"): Promise<void> {
  await database.pool.query(
    `update avatars.contacts c set ${assignment} where instance_id = $1 and ${where}`,
    [instanceId],
  );
}

const start: Place = { by: -1, contactId: 0 };

const readQueue = async (request: Partial<DueRequest> & Pick<DueRequest, "instanceId">) => {
  const [found] = await ledger.readDue([
    { priority: 1, isTurned: true, after: start, limit: 100, ...request },
  ]);
  return found!;
};

const toIds = (contacts: readonly QueuedContact[]) => contacts.map(({ contactId }) => contactId);

describe("due contacts", () => {
  test("come by priority, retries by their due moment before turns, then in the order of arrival", async () => {
    const row = fc.record({
      priority: fc.nat(2),
      minutesAgo: fc.nat(3),
      turn: fc.option(fc.nat(5), { nil: undefined }),
    });
    const dueRows = fc.array(row, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(dueRows, fc.integer({ min: 1, max: 14 }), async (rows, limit) => {
        const instanceId = await openInstance(rows.length);
        const before = await readContacts(database.pool, instanceId);
        for (const [index, { priority, minutesAgo, turn }] of rows.entries()) {
          await set(
            instanceId,
            `priority = ${priority}, turn = ${turn ?? null}, due_at = date_trunc('minute', now()) - ${minutesAgo} * interval '1 minute'`,
            `id = ${before[index]?.id}`,
          );
        }
        const expected = before
          .flatMap(({ id }, index) => (rows[index] ? [{ id, ...rows[index] }] : []))
          .toSorted(
            (a, b) =>
              a.priority - b.priority ||
              (a.turn ?? -1) - (b.turn ?? -1) ||
              (a.turn === undefined ? b.minutesAgo - a.minutesAgo : 0) ||
              a.id - b.id,
          )
          .map(({ id }) => id);
        expect(toIds(await readAllDue(ledger, instanceId, limit))).toEqual(expected.slice(0, limit));
        expect(toIds(await (await openDueRun(ledger, instanceId)).next(100))).toEqual(expected);
      }),
      { numRuns: 25 },
    );
  });

  test("tell who they are, what was spent on them, and where they stand", async () => {
    const instanceId = await openInstance();
    await set(instanceId, "attempts = 2, turn = 7");
    const [row] = await readContacts(database.pool, instanceId);
    const dueAtUs = expect.any(Number) as number;
    const contact = { contactId: row?.id, chatId: toChatId(0), attempts: 2, past: noPast, priority: 1 };
    const turned = { ...contact, isTurned: true, place: { by: 7, contactId: row?.id }, dueAtUs };
    expect(await readAllDue(ledger, instanceId)).toEqual([turned]);
    await set(instanceId, "turn = null, due_at = '2026-03-01T12:00:00.123456Z'");
    const by = Date.UTC(2026, 2, 1, 12) * 1_000 + 123_456;
    expect(await readAllDue(ledger, instanceId)).toEqual([
      { ...contact, isTurned: false, place: { by, contactId: row?.id }, dueAtUs: by },
    ]);
  });

  test("tell what decides about their next refresh", async () => {
    const instanceId = await openInstance();
    const [row] = await readContacts(database.pool, instanceId);
    await set(instanceId, "status = 'present', refresh_at = now(), refresh_step = 9");
    await database.pool.query(
      `insert into avatars.avatars (contact_id, url, version, changed_at, seen_at)
       values ($1, 'https://pps.whatsapp.net/a.jpg', '/a.jpg', now(), now())`,
      [row?.id],
    );
    await database.pool.query(
      "update avatars.avatars set first_seen_at = '2026-01-02T03:04:05Z', changes = 3 where contact_id = $1",
      [row?.id],
    );
    const [contact] = await readAllDue(ledger, instanceId);
    expect(contact?.past).toEqual({
      status: "present",
      firstSeenAt: new Date("2026-01-02T03:04:05Z"),
      changes: 3,
      version: "/a.jpg",
      refreshStep: 9,
    });
  });

  test("are neither those at rest, nor in a backoff, nor in flight of an earlier lease, nor with a record put aside", async () => {
    const instanceId = await openInstance(6);
    const [resting, waiting, flying, aside, landed, due] = await readContacts(database.pool, instanceId);
    await set(instanceId, "due_at = null, turn = null, wanted_at = null", `id = ${resting?.id}`);
    await set(instanceId, "due_at = now() + interval '1 minute', turn = null", `id = ${waiting?.id}`);
    for (const [id, interval] of [
      [flying?.id, "1 minute"],
      [landed?.id, "-1 second"],
    ])
      await set(
        instanceId,
        `in_flight_epoch = 1, in_flight_until = now() + interval '${interval}'`,
        `id = ${id}`,
      );
    await database.pool.query(
      "insert into avatars.lookups_aside (contact_id, instance_id, epoch, record) values ($1, $2, 1, '{}')",
      [aside?.id, instanceId],
    );
    expect(toIds(await readAllDue(ledger, instanceId))).toEqual([landed?.id, due?.id]);
    // The same of those that go by their due moment.
    await set(instanceId, "turn = null", "due_at <= now()");
    expect(toIds(await readAllDue(ledger, instanceId))).toEqual([landed?.id, due?.id]);
  });

  test("are marked beside their rows until that has run out", async () => {
    const instanceId = await openInstance(2);
    const [flying, landed] = await readContacts(database.pool, instanceId);
    await database.pool.query(
      `insert into avatars.lookups_aside (contact_id, instance_id, epoch, in_flight_until)
       values ($1, $3, 1, now() + interval '1 minute'), ($2, $3, 1, now() - interval '1 ms')`,
      [flying?.id, landed?.id, instanceId],
    );
    expect(toIds(await readAllDue(ledger, instanceId))).toEqual([landed?.id]);
  });

  test("are read without a lock, and without a change", async () => {
    const instanceId = await openInstance(2);
    const client = await database.pool.connect();
    await client.query("begin");
    await client.query("select from avatars.contacts where instance_id = $1 for update", [instanceId]);
    const before = await readContacts(database.pool, instanceId);
    expect(await readAllDue(ledger, instanceId)).toHaveLength(2);
    await client.query("rollback");
    client.release();
    expect(await readContacts(database.pool, instanceId)).toEqual(before);
  });

  test("that were released or have spent nothing are due again as they were", async () => {
    const instanceId = await openInstance(2);
    const { epoch, contacts, databaseNowMs } = await ask(ledger, instanceId);
    await ledger.saveLookups(
      contacts.map(({ contactId }) => toRecord(contactId, epoch, databaseNowMs, release)),
    );
    expect(await readAllDue(ledger, instanceId)).toEqual(contacts);
  });

  test("of a contact whose record is saved while another process looks are not lost", async () => {
    const instanceId = await openInstance();
    const { epoch, contacts } = await ask(ledger, instanceId);
    const [contactId = 0] = toIds(contacts);
    const nowMs = await readDatabaseNow(database.pool);
    await Promise.all([
      ledger.saveLookups([toRecord(contactId, epoch, nowMs, { ...retry, dueInMs: 0 } as typeof retry)]),
      readAllDue(ledger, instanceId),
    ]);
    expect(await readAllDue(ledger, instanceId)).toMatchObject([{ contactId, attempts: 1, isTurned: false }]);
  });
});

describe("a look at a queue", () => {
  test("goes on behind its place, also among contacts of one place, and finds each once", async () => {
    const turnsOrMoments = fc.array(fc.nat(2), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        turnsOrMoments,
        fc.boolean(),
        fc.integer({ min: 1, max: 5 }),
        async (bys, isTurned, limit) => {
          const instanceId = await openInstance(bys.length);
          const rows = await readContacts(database.pool, instanceId);
          for (const [index, by] of bys.entries()) {
            // Moments that lie a microsecond apart.
            const at = `date_trunc('hour', now()) - interval '1 hour' + ${by} * interval '1 microsecond'`;
            await set(
              instanceId,
              isTurned ? `turn = ${by}` : `turn = null, due_at = ${at}`,
              `id = ${rows[index]?.id}`,
            );
          }
          const expected = rows
            .map(({ id }, index) => ({ id, by: bys[index] ?? 0 }))
            .toSorted((a, b) => a.by - b.by || a.id - b.id)
            .map(({ id }) => id);
          const found: number[] = [];
          for (let after = start; ;) {
            const page = await readQueue({ instanceId, isTurned, after, limit });
            expect(page.length).toBeLessThanOrEqual(limit);
            found.push(...toIds(page));
            const last = page.at(-1);
            if (last === undefined) break;
            after = last.place;
          }
          expect(found).toEqual(expected);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("answers many requests in one statement, each with its own: of other instances, priorities and queues too", async () => {
    const [one, other] = [await openInstance(4), await openInstance(4)];
    for (const instanceId of [one, other]) {
      const [first] = await readContacts(database.pool, instanceId);
      await set(instanceId, "turn = null", `id = ${first?.id}`);
    }
    await acceptContacts(database.pool, other, [toChatId(9)], { priority: 0 });
    const base = { after: start, limit: 2 };
    const found = await ledger.readDue([
      { ...base, instanceId: other, priority: 0, isTurned: true },
      { ...base, instanceId: one, priority: 1, isTurned: false },
      { ...base, instanceId: one, priority: 1, isTurned: true },
      { ...base, instanceId: one, priority: 2, isTurned: true },
      { ...base, instanceId: other, priority: 1, isTurned: true, limit: 1 },
      { ...base, instanceId: "999" as InstanceId, priority: 1, isTurned: true },
    ]);
    expect(found.map((contacts) => contacts.map(({ chatId }) => chatId))).toEqual([
      [toChatId(9)],
      [toChatId(0)],
      [toChatId(1), toChatId(2)],
      [],
      [toChatId(1)],
      [],
    ]);
    expect(await ledger.readDue([])).toEqual([]);
  });
});

const allow = async (instanceId: InstanceId, allowed: readonly string[]) =>
  database.pool.query(
    `update avatars.instances set state = 'held', held_reason = 'correspondents-exhausted', held_since = now(),
       held_until = now() + interval '1 day', allowed_chat_ids = $2 where id = $1`,
    [instanceId, allowed],
  );

describe("a hold that leaves some chats", () => {
  test("has these alone asked, wherever they stand, and not as probes", async () => {
    const instanceId = await openInstance(10);
    const allowed = [3, 7, 900].map(toChatId);
    await allow(instanceId, allowed);
    const { instance } = await ask(ledger, instanceId);
    expect(instance).toMatchObject({ probing: false, allowedChatIds: allowed });
    const read = async (but: readonly number[], limit = 10) =>
      (await ledger.readHeld(instanceId, { chatIds: allowed }, but, limit)).map(({ chatId }) => chatId);
    expect((await read([])).toSorted()).toEqual([toChatId(3), toChatId(7)]);
    expect(await read([], 1)).toHaveLength(1);
    const third = (await readContacts(database.pool, instanceId)).find(
      ({ chat_id }) => chat_id === toChatId(3),
    );
    expect(await read([third?.id ?? 0])).toEqual([toChatId(7)]);
    await set(
      instanceId,
      "in_flight_epoch = 1, in_flight_until = now() + interval '1 minute'",
      `id = ${third?.id}`,
    );
    expect(await read([])).toEqual([toChatId(7)]);
    await set(instanceId, "turn = null, due_at = now() + interval '1 minute'", `id <> ${third?.id}`);
    expect(await read([])).toEqual([]);
  });

  test("leaves the turns where they are: a chat far behind must not take all others' place", async () => {
    const instanceId = await openInstance(50);
    await allow(instanceId, [toChatId(49)]);
    const asked = await (await openDueRun(ledger, instanceId)).next(50);
    expect(asked.map(({ chatId }) => chatId)).toEqual([toChatId(49)]);
    const { rows } = await database.pool.query("select turns from avatars.instances where id = $1", [
      instanceId,
    ]);
    expect(rows).toEqual([{ turns: ["0", "0", "0"] }]);
  });
});
