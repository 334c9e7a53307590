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
  giveUp,
  hidden,
  invalid,
  paceSettings,
  present,
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
    arbitrary: fc.record({ kind: fc.constant("claim" as const), limit: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("save" as const),
      contact: fc.nat(3),
      /** A stranger, or one of the runs that have claimed something, late as it may be. */
      run: fc.option(fc.nat()),
      askedMsAgo: fc.constantFrom(0, 0, 0, 5, 2_000, 7_200_000),
      decision,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("release" as const), run: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("expire" as const), contact: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("hold" as const, "endHold" as const) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

interface World {
  readonly instanceId: InstanceId;
  readonly batches: string[];
  readonly runs: string[];
}

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

async function claimSome({ instanceId, runs }: World, limit: number) {
  const runId = randomUUID();
  runs.push(runId);
  const result = await ledger.claimDueContacts({ instanceId, runId, laneId: runId, limit });
  return { runId, contacts: result.kind === "claimed" ? result.claim.contacts : [] };
}

async function perform(world: World, step: Operation): Promise<void> {
  const { instanceId, runs } = world;
  switch (step.kind) {
    case "open":
      return openBatch(world, step.maxAgeMs, step.priority);
    case "accept":
      return acceptInto(world, step.batch, step.contacts);
    case "claim":
      await claimSome(world, step.limit);
      return;
    case "save": {
      const contactId = await idOf(world, step.contact);
      if (contactId === undefined) return;
      const runId = (step.run === null ? undefined : pick(runs, step.run)) ?? randomUUID();
      const askedAtMs = (await readDatabaseNow(database.pool)) - step.askedMsAgo;
      await ledger.saveLookups([toRecord(contactId, runId, askedAtMs, step.decision)]);
      return;
    }
    case "release": {
      const runId = pick(runs, step.run) ?? randomUUID();
      const all = await readContacts(database.pool, instanceId);
      return ledger.releaseClaims(all.map(({ id }) => ({ contactId: id, runId })));
    }
    case "expire":
      await database.pool.query(
        "update avatars.contacts set claimed_until = now() - interval '1 second' where id = $1 and claimed_by is not null",
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

/** I2: every contact rests with nobody waiting, or is scheduled. A claim always has an end. */
async function checkEachIsGoingSomewhere({ instanceId, batches }: World): Promise<void> {
  for (const contact of await readContacts(database.pool, instanceId)) {
    if (contact.due_at === null) {
      expect(contact).toMatchObject({ wanted_at: null, claimed_by: null, claimed_until: null });
    }
    expect(contact.claimed_by === null).toBe(contact.claimed_until === null);
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

/** What a healthy worker does: claims whatever is due, and brings an answer that was asked for just now. */
async function workUntilIdle(world: World): Promise<void> {
  await ledger.endHold(world.instanceId, toChatId(0), Date.now() + 1_000);
  // Time passes: leases run out, backoffs end.
  await database.pool.query(
    `update avatars.contacts set due_at = least(due_at, now()),
       claimed_until = case when claimed_by is null then null else now() - interval '1 second' end where instance_id = $1`,
    [world.instanceId],
  );
  for (let rounds = 0; ; rounds += 1) {
    const { runId, contacts } = await claimSome(world, 10);
    if (contacts.length === 0) break;
    // One answer settles everything: nobody is asked twice.
    expect(rounds).toBe(0);
    const nowMs = await readDatabaseNow(database.pool);
    await ledger.saveLookups(
      contacts.map(({ contactId }) => toRecord(contactId, runId, nowMs, present("/c.jpg"))),
    );
  }
}

test("whatever happens to contacts, each of them gets on, and comes to rest once it is answered", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 35 }), async (steps) => {
      const world: World = { instanceId: await addInstance(database), batches: [], runs: [] };
      await openBatch(world, 0, 1);
      for (const step of steps) {
        await perform(world, step);
        await checkEachIsGoingSomewhere(world);
      }
      await workUntilIdle(world);
      for (const contact of await readContacts(database.pool, world.instanceId)) {
        expect(contact).toMatchObject({ due_at: null, wanted_at: null, claimed_by: null });
      }
      for (const batchId of world.batches) {
        expect(await findBatchProgress(database.pool, batchId)).toMatchObject({ pending: 0 });
      }
    }),
    { numRuns: 60 },
  );
});
