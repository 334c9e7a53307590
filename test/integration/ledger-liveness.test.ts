import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { acceptChunk, createBatch } from "../../src/store/accept/accept-chunk.ts";
import { findBatchProgress } from "../../src/store/batches/find-batch-progress.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import {
  absent,
  addInstance,
  giveBack,
  giveUp,
  hidden,
  invalid,
  paceSettings,
  present,
  readAllDue,
  readContacts,
  readDatabaseNow,
  release,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());

const decision: fc.Arbitrary<ContactDecision> = fc.oneof(
  fc.constantFrom(present("/a.jpg"), present("/b.jpg"), absent, hidden, invalid, giveUp, release),
  fc
    .constantFrom(0, 0, 3_600_000)
    .map((dueInMs): ContactDecision => ({ kind: "retry", dueInMs, error: "no answer" })),
);
const contacts = fc.uniqueArray(fc.nat(3), { minLength: 1, maxLength: 4 });
const operation = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("open" as const),
      maxAgeMs: fc.constantFrom(0, 0, 1, 1_000, 3_600_000),
      priority: fc.nat(2),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("accept" as const), batch: fc.nat(), contacts }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("take" as const) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("save" as const),
      contact: fc.nat(3),
      /** A stranger, or one of the leases that there were, late as it may be. */
      lease: fc.option(fc.nat()),
      askedMsAgo: fc.constantFrom(0, 0, 0, 5, 2_000, 7_200_000),
      decision,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("giveBack" as const), lease: fc.nat(), inFlight: contacts }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("die" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("putOff" as const), lease: fc.nat(), contact: fc.nat(3) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("expire" as const), contact: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("hold" as const, "endHold" as const) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

interface World {
  readonly instanceId: InstanceId;
  readonly batches: string[];
  /** All that were taken, of as many processes. */
  readonly leases: { readonly owner: string; readonly epoch: number }[];
}

/** A lease that never was. */
const stranger = { owner: "00000000-0000-4000-8000-000000000000", epoch: 999_999 };

async function idOf({ instanceId }: World, contact: number): Promise<number | undefined> {
  const all = await readContacts(database.pool, instanceId);
  return all.find(({ chat_id }) => chat_id === toChatId(contact))?.id;
}

const pick = <T>(from: readonly T[], at: number): T | undefined => from[at % Math.max(1, from.length)];

async function openBatch({ instanceId, batches }: World, maxAgeMs: number, priority: number): Promise<void> {
  const batch = { instanceId, source: "test", label: undefined, priority, maxAgeMs };
  batches.push(await createBatch(database.pool, batch));
}

async function acceptInto({ batches }: World, at: number, indexes: readonly number[]): Promise<void> {
  const batchId = pick(batches, at);
  if (batchId === undefined) return;
  const chunk = indexes.map((index) => ({
    chatId: toChatId(index),
    externalRef: undefined,
    position: index,
  }));
  await acceptChunk(database.pool, batchId, chunk);
}

/** Another process takes the lease, where it is free. Returns its epoch. */
async function takeLease({ instanceId, leases }: World): Promise<number | undefined> {
  const owner = randomUUID();
  const lease = await ledger.takeLease(instanceId, owner);
  if (lease.kind !== "taken") return undefined;
  leases.push({ owner, epoch: lease.epoch });
  return lease.epoch;
}

/** The process that holds the lease is gone, and another one has seen it. */
async function endLease({ instanceId }: World): Promise<void> {
  const seen = await ledger.listLeases(randomUUID());
  await ledger.endDeadLeases(seen.filter((lease) => lease.instanceId === instanceId));
}

async function putOff(world: World, contact: number, lease: number): Promise<void> {
  const contactId = await idOf(world, contact);
  const { epoch } = pick(world.leases, lease) ?? stranger;
  if (contactId !== undefined) await ledger.putOff({ contactId, epoch }, "no answer");
}

async function giveBackSome(world: World, lease: number, asked: readonly number[]): Promise<void> {
  const ids = await Promise.all(asked.map((contact) => idOf(world, contact)));
  const inFlight = ids.filter((id) => id !== undefined);
  await giveBack(ledger, world.instanceId, pick(world.leases, lease) ?? stranger, inFlight);
}

async function perform(world: World, step: Operation): Promise<void> {
  const { instanceId, leases } = world;
  switch (step.kind) {
    case "open":
      return openBatch(world, step.maxAgeMs, step.priority);
    case "accept":
      return acceptInto(world, step.batch, step.contacts);
    case "take":
      await takeLease(world);
      return;
    case "save": {
      const contactId = await idOf(world, step.contact);
      if (contactId === undefined) return;
      const { epoch } = (step.lease === null ? undefined : pick(leases, step.lease)) ?? stranger;
      const askedAtMs = (await readDatabaseNow(database.pool)) - step.askedMsAgo;
      await ledger.saveLookups([toRecord(contactId, epoch, askedAtMs, step.decision)]);
      return;
    }
    case "giveBack":
      return giveBackSome(world, step.lease, step.inFlight);
    case "die":
      return endLease(world);
    case "putOff":
      return putOff(world, step.contact, step.lease);
    case "expire":
      await database.pool.query(
        "update avatars.contacts set in_flight_until = now() - interval '1 second' where id = $1 and in_flight_epoch is not null",
        [await idOf(world, step.contact)],
      );
      return;
    case "hold":
      await ledger.holdInstance(
        instanceId,
        { reason: "starting", baseMs: 60_000, maxMs: 60_000, text: "" },
        Date.now(),
      );
      return;
    case "endHold":
      await ledger.endHold(instanceId, toChatId(0), Date.now() + 1_000);
      return;
    default:
      throw new Error("unknown step");
  }
}

/** I2: every contact rests with nobody waiting, or is scheduled. A mark always has an end. */
async function checkEachIsGoingSomewhere({ instanceId, batches }: World): Promise<void> {
  for (const contact of await readContacts(database.pool, instanceId)) {
    if (contact.due_at === null) {
      expect(contact).toMatchObject({ wanted_at: null, in_flight_epoch: null, in_flight_until: null });
    }
    expect(contact.in_flight_epoch === null).toBe(contact.in_flight_until === null);
  }
  // Whoever asked is told that it is done only where there is an answer, or the attempts were spent.
  const { rows } = await database.pool.query(
    `select m.batch_id, c.chat_id from avatars.batch_members m
     join avatars.contacts c on c.id = m.contact_id join avatars.batches b on b.id = m.batch_id
     where b.id = any($1::uuid[]) and c.status = 'unknown' and not coalesce(c.wanted_at <= b.requested_at, false)`,
    [batches],
  );
  expect(rows).toEqual([]);
}

/** What a healthy worker does: reads whatever is due, and brings an answer that was asked for just now. */
async function workUntilIdle(world: World): Promise<void> {
  await ledger.endHold(world.instanceId, toChatId(0), Date.now() + 1_000);
  // Time passes: what was in flight has run out, backoffs end, a lease is given up.
  await database.pool.query(
    `update avatars.contacts set due_at = least(due_at, now()),
       in_flight_until = case when in_flight_epoch is null then null else now() - interval '1 second' end where instance_id = $1`,
    [world.instanceId],
  );
  await endLease(world);
  const epoch = (await takeLease(world)) ?? stranger.epoch;
  for (let rounds = 0; ; rounds += 1) {
    const contacts = await readAllDue(ledger, world.instanceId);
    if (contacts.length === 0) break;
    // One answer settles everything: nobody is asked twice.
    expect(rounds).toBe(0);
    const nowMs = await readDatabaseNow(database.pool);
    await ledger.saveLookups(
      contacts.map(({ contactId }) => toRecord(contactId, epoch, nowMs, present("/c.jpg"))),
    );
  }
}

test("whatever happens to contacts, each of them gets on, and comes to rest once it is answered", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 35 }), async (steps) => {
      const world: World = { instanceId: await addInstance(database), batches: [], leases: [] };
      await openBatch(world, 0, 1);
      for (const step of steps) {
        await perform(world, step);
        await checkEachIsGoingSomewhere(world);
      }
      await workUntilIdle(world);
      for (const contact of await readContacts(database.pool, world.instanceId)) {
        expect(contact).toMatchObject({ due_at: null, wanted_at: null, in_flight_epoch: null });
      }
      for (const batchId of world.batches) {
        expect(await findBatchProgress(database.pool, batchId)).toMatchObject({ pending: 0 });
      }
    }),
    { numRuns: 60 },
  );
});
