import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LookupRecord } from "../../src/domain/ledger/lookup-record.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { isTransient } from "../../src/store/postgres/database.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import {
  absent,
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  giveUp,
  hidden,
  invalid,
  paceSettings,
  present,
  readAllDue,
  readContact,
  readContacts,
  readWronglyListed,
  readDatabaseNow,
  release,
  retry,
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

const storable = (given: string) => given.replaceAll("\0", "").toWellFormed();
/** A lease that never was. */
const stranger = 999_999;
/** The process of all leases in here: it may take each anew. */
const owner = randomUUID();

interface Asked {
  readonly instanceId: InstanceId;
  readonly contactId: number;
  readonly epoch: number;
  /** A moment at which a call may have been sent: just now. */
  readonly nowMs: number;
}

/** One contact, accepted with no patience for older answers, and asked. */
async function askOne(): Promise<Asked> {
  return askAgain({ instanceId: await addInstance(database) });
}

const save = async ({ contactId, epoch }: Asked, askedAtMs: number, decision: ContactDecision) =>
  ledger.saveLookups([toRecord(contactId, epoch, askedAtMs, decision)]);

/** A newer answer is wanted than any there is; a run asks the contact for it. */
async function askAgain({ instanceId }: Pick<Asked, "instanceId">): Promise<Asked> {
  await acceptContacts(database.pool, instanceId, [toChatId(1)]);
  const { epoch, contacts } = await ask(ledger, instanceId, { owner });
  const nowMs = await readDatabaseNow(database.pool);
  return { instanceId, contactId: contacts[0]?.contactId ?? 0, epoch, nowMs };
}

/** A run has handed over while it asks the contact, and another one has the lease. */
async function handOver({ instanceId, contactId, epoch }: Asked): Promise<number> {
  await giveBack(ledger, instanceId, { owner, epoch }, [contactId]);
  return (await ask(ledger, instanceId, { owner })).epoch;
}

const atRest = { due_at: null, wanted_at: null, in_flight_epoch: null, in_flight_until: null };

const stubborn = async (work: () => Promise<unknown>): Promise<void> => {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (!isTransient(error)) throw error;
    }
  }
};

/** What must be stored when these answers, in the order in which they were asked for, have all been saved. */
function toExpectedRow(given: readonly ContactDecision[], askedAtMs: readonly number[]) {
  const answers = given.map((decision, index) => {
    if (decision.kind !== "answer") throw new Error("no answer");
    return { ...decision, askedAt: new Date(Math.floor(askedAtMs[index] ?? 0)) };
  });
  const last = answers.at(-1);
  const looked = answers.findLast(({ avatar }) => avatar.kind !== "keep");
  const seen = looked?.avatar.kind === "seen" ? looked.avatar : undefined;
  return {
    status: last?.status,
    last_error: last?.note ?? null,
    checked_at: last?.askedAt,
    version: seen?.version ?? null,
    url: seen?.url ?? null,
    seen_at: looked?.askedAt ?? null,
  };
}

describe("a saved lookup", () => {
  test("that comes after its contact was given up, and was asked for before the last request, asks no more", async () => {
    const first = await askOne();
    const askedAtMs = first.nowMs;
    await acceptContacts(database.pool, first.instanceId, [toChatId(1)]);
    await save(first, askedAtMs, giveUp);
    await save(first, askedAtMs, present("/a.jpg"));
    expect(await readContact(database.pool, first.instanceId)).toMatchObject({
      ...atRest,
      status: "present",
    });
  });

  test("that is present puts the contact at rest, with its avatar", async () => {
    const asked = await askOne();
    await save(asked, asked.nowMs, present("/a.jpg"));
    const seenAt = new Date(Math.floor(asked.nowMs));
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({
      ...atRest,
      status: "present",
      attempts: 1,
      last_error: null,
      checked_at: seenAt,
      url: "https://pps.whatsapp.net/a.jpg?oe=1",
      url_expires_at: new Date("2027-01-01T00:00:00Z"),
      version: "/a.jpg",
      changed_at: seenAt,
      seen_at: seenAt,
      changes: [">/a.jpg"],
    });
  });

  test("that is absent removes the avatar, and a contact that never had one has no change", async () => {
    const asked = await askOne();
    await save(asked, asked.nowMs, absent);
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({
      ...atRest,
      status: "absent",
      url: null,
      version: null,
      changes: [],
    });
    const again = await askAgain(asked);
    await save(again, again.nowMs, present("/a.jpg"));
    const last = await askAgain(asked);
    await save(last, last.nowMs, absent);
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({
      status: "absent",
      url: null,
      url_expires_at: null,
      version: null,
      seen_at: new Date(Math.floor(last.nowMs)),
      changes: [">/a.jpg", "/a.jpg>"],
    });
  });

  test.each([
    ["hidden", hidden, { ...atRest, status: "hidden", last_error: "not told" }],
    ["invalid", invalid, { ...atRest, status: "invalid", last_error: "not accepted" }],
    ["unreachable", giveUp, { ...atRest, status: "unreachable", last_error: "no answer, five times" }],
    ["put off", retry, { status: "present", last_error: "no answer", in_flight_epoch: null, is_due: false }],
    [
      "released",
      release,
      { status: "present", last_error: "instance held", in_flight_epoch: null, is_due: true },
    ],
  ])("that is %s leaves the avatar as it was", async (_, decision, expected) => {
    const asked = await askOne();
    await save(asked, asked.nowMs, present("/a.jpg"));
    const before = await readContact(database.pool, asked.instanceId);
    const again = await askAgain(asked);
    await save(again, again.nowMs, decision);
    const after = await readContact(database.pool, asked.instanceId);
    expect(after).toMatchObject(expected);
    for (const key of ["url", "url_expires_at", "version", "changed_at", "seen_at", "changes"] as const) {
      expect(after[key]).toEqual(before[key]);
    }
  });

  test("spends an attempt, unless it is a release", async () => {
    const asked = await askOne();
    await save(asked, asked.nowMs, release);
    const first = await ask(ledger, asked.instanceId, { owner });
    expect(first.contacts[0]?.attempts).toBe(0);
    await save({ ...asked, epoch: first.epoch }, asked.nowMs, {
      ...retry,
      dueInMs: 0,
    } as ContactDecision);
    const second = await ask(ledger, asked.instanceId, { owner });
    expect(second.contacts[0]?.attempts).toBe(1);
    await save({ ...asked, epoch: second.epoch }, asked.nowMs, giveUp);
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({ attempts: 2 });
  });

  test("that is put off is due after its backoff, and somebody still waits for it", async () => {
    const asked = await askOne();
    await save(asked, asked.nowMs, retry);
    const { due_at, wanted_at } = await readContact(database.pool, asked.instanceId);
    expect(wanted_at).not.toBeNull();
    expect(due_at?.getTime()).toBeGreaterThanOrEqual(Math.floor(asked.nowMs) + 60_000);
  });

  test.each([
    ["present", present("/a.jpg"), null],
    ["given up", giveUp, null],
    ["put off", retry, null],
    ["released", release, "1"],
  ])("that is %s has had its turn, unless it was released", async (_, decision, turn) => {
    const asked = await askOne();
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({ turn: "1" });
    await save(asked, asked.nowMs, decision);
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({ turn });
  });

  test("that is released keeps the reason it had where none is given", async () => {
    const asked = await askOne();
    await save(asked, asked.nowMs, { ...retry, dueInMs: 0 } as ContactDecision);
    const { epoch } = await ask(ledger, asked.instanceId, { owner });
    await save({ ...asked, epoch }, asked.nowMs, { kind: "release", error: undefined });
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({ last_error: "no answer" });
  });

  test("whose URL differs in its query only is no change, and its URL is the newest", async () => {
    const asked = await askOne();
    await save(asked, asked.nowMs, present("/a.jpg", "oe=1"));
    const again = await askAgain(asked);
    await save(again, again.nowMs, present("/a.jpg", "oe=2"));
    const last = await askAgain(asked);
    await save(last, last.nowMs, present("/b.jpg"));
    const { url, changed_at, changes } = await readContact(database.pool, asked.instanceId);
    expect(url).toBe("https://pps.whatsapp.net/b.jpg?oe=1");
    expect(changed_at).toEqual(new Date(Math.floor(last.nowMs)));
    expect(changes).toEqual([">/a.jpg", "/a.jpg>/b.jpg"]);
  });

  test("with the same answer renews the URL and leaves the moment of the change", async () => {
    const asked = await askOne();
    await save(asked, asked.nowMs, present("/a.jpg", "oe=1"));
    const again = await askAgain(asked);
    await save(again, again.nowMs, present("/a.jpg", "oe=2"));
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({
      url: "https://pps.whatsapp.net/a.jpg?oe=2",
      changed_at: new Date(Math.floor(asked.nowMs)),
      seen_at: new Date(Math.floor(again.nowMs)),
      changes: [">/a.jpg"],
    });
  });

  test("that was asked for before somebody wanted a newer one leaves the contact due", async () => {
    const asked = await askOne();
    await acceptContacts(database.pool, asked.instanceId, [toChatId(1)]);
    await save(asked, asked.nowMs, present("/a.jpg"));
    const contact = await readContact(database.pool, asked.instanceId);
    expect(contact).toMatchObject({
      status: "present",
      url: expect.stringContaining("/a.jpg"),
      is_due: true,
      turn: null,
    });
    expect(contact.wanted_at).not.toBeNull();
    const { epoch } = await ask(ledger, asked.instanceId, { owner });
    const nowMs = await readDatabaseNow(database.pool);
    await save({ ...asked, epoch }, nowMs, absent);
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({
      ...atRest,
      status: "absent",
    });
  });

  test("is stored whatever its texts hold, without what Postgres cannot store", async () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "\0", "\ud83d", "\ude00", "😀", '"', "\\", "\n", "'"),
    });
    await fc.assert(
      fc.asyncProperty(text, text, async (error, version) => {
        const asked = await askOne();
        const avatar = {
          kind: "seen",
          url: `https://x/${version}`,
          urlExpiresAt: undefined,
          version,
        } as const;
        await save(asked, asked.nowMs, { kind: "answer", status: "present", avatar, note: error });
        expect(await readContact(database.pool, asked.instanceId)).toMatchObject({
          status: "present",
          last_error: storable(error),
          version: storable(version),
          url: storable(`https://x/${version}`),
          url_expires_at: null,
        });
      }),
      { numRuns: 30 },
    );
  });

  test("of a contact that is gone is nobody's loss", async () => {
    await ledger.saveLookups([toRecord(999_999, stranger, 1, present("/a.jpg"))]);
    await ledger.saveLookups([]);
  });

  test("is saved with hundreds of others in one statement, each its own way", async () => {
    const instanceId = await addInstance(database);
    const count = 300;
    await acceptContacts(
      database.pool,
      instanceId,
      Array.from({ length: count }, (_, index) => toChatId(index)),
    );
    const { epoch, contacts } = await ask(ledger, instanceId);
    const nowMs = await readDatabaseNow(database.pool);
    const decisions = [present("/a.jpg"), absent, hidden, invalid, giveUp, retry, release];
    const records = contacts.map(({ contactId }, index) =>
      toRecord(contactId, epoch, nowMs, decisions[index % decisions.length] ?? release),
    );
    await ledger.saveLookups(records.toReversed());
    const saved = await readContacts(database.pool, instanceId);
    const statuses = ["present", "absent", "hidden", "invalid", "unreachable", "unknown", "unknown"];
    const byId = new Map(saved.map((contact) => [contact.id, contact]));
    expect(records.map(({ contactId }) => byId.get(contactId)?.status)).toEqual(
      records.map((_, index) => statuses[index % statuses.length]),
    );
  });
});

describe("the fences", () => {
  test.each([
    ["retry", retry],
    ["give-up", giveUp],
    ["release", release],
  ])("let a %s change nothing that comes from another lease than the present one", async (_, decision) => {
    const asked = await askOne();
    const before = await readContact(database.pool, asked.instanceId);
    await save({ ...asked, epoch: stranger }, asked.nowMs + 1_000, decision);
    expect(await readContact(database.pool, asked.instanceId)).toEqual(before);
    await save(asked, asked.nowMs, present("/a.jpg"));
    const answered = await readContact(database.pool, asked.instanceId);
    await save(asked, asked.nowMs + 1_000, decision);
    expect(await readContact(database.pool, asked.instanceId)).toEqual(answered);
  });

  test.each([
    ["retry", retry],
    ["give-up", giveUp],
    ["release", release],
  ])("let a %s change nothing when its lease was ended, and its contact not marked", async (_, decision) => {
    const asked = await askOne();
    await giveBack(ledger, asked.instanceId, { owner, epoch: asked.epoch });
    await ask(ledger, asked.instanceId, { owner });
    const before = await readContact(database.pool, asked.instanceId);
    await save(asked, asked.nowMs, decision);
    expect(await readContact(database.pool, asked.instanceId)).toEqual(before);
  });

  test("take what comes of a call that was in flight at a hand-over, under the next lease, once", async () => {
    const asked = await askOne();
    const epoch = await handOver(asked);
    const again = { ...retry, dueInMs: 0 } as ContactDecision;
    for (let times = 0; times < 2; times += 1) await save(asked, asked.nowMs, again);
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({
      attempts: 1,
      is_due: true,
      in_flight_epoch: null,
    });
    await save({ ...asked, epoch }, asked.nowMs, again);
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({ attempts: 2 });
  });

  test("take a clear answer of any lease, and end the mark of another one that is at it", async () => {
    const asked = await askOne();
    await handOver(asked);
    await save({ ...asked, epoch: stranger }, asked.nowMs, present("/a.jpg"));
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({
      ...atRest,
      status: "present",
    });
  });

  test("leave the mark to its call when a stranger's answer is too old for those who wait", async () => {
    const asked = await askOne();
    await handOver(asked);
    await save({ ...asked, epoch: stranger }, asked.nowMs - 60_000, present("/a.jpg"));
    const contact = await readContact(database.pool, asked.instanceId);
    expect(contact).toMatchObject({ status: "present", in_flight_epoch: String(asked.epoch) });
    expect(contact.due_at).not.toBeNull();
    expect(contact.wanted_at).not.toBeNull();
  });

  test("let an older answer replace nothing, whoever holds the lease", async () => {
    const asked = await askOne();
    await save(asked, asked.nowMs, present("/new.jpg"));
    const before = await readContact(database.pool, asked.instanceId);
    for (const epoch of [asked.epoch, stranger]) {
      await save({ ...asked, epoch }, asked.nowMs - 1, present("/old.jpg"));
      await save({ ...asked, epoch }, asked.nowMs - 1, absent);
      await save({ ...asked, epoch }, asked.nowMs - 1, hidden);
    }
    expect(await readContact(database.pool, asked.instanceId)).toEqual(before);
  });

  test("take an answer that comes after the contact was given up", async () => {
    const asked = await askOne();
    await save(asked, asked.nowMs, giveUp);
    await save({ ...asked, epoch: stranger }, asked.nowMs, present("/a.jpg"));
    expect(await readContact(database.pool, asked.instanceId)).toMatchObject({
      ...atRest,
      status: "present",
      last_error: null,
    });
  });

  const answer: fc.Arbitrary<ContactDecision> = fc.oneof(
    fc.constantFrom("/a.jpg", "/b.jpg", "/c.jpg").map((version) => present(version)),
    fc.constantFrom(absent, hidden, invalid),
  );

  test("make any order of the same answers end alike: with what was asked for last", async () => {
    const answers = fc.array(answer, { minLength: 2, maxLength: 6 });
    const orders = answers.chain((given) =>
      fc.tuple(
        fc.constant(given),
        fc.shuffledSubarray(
          given.map((_, index) => index),
          { minLength: given.length },
        ),
        fc.array(fc.boolean(), { minLength: given.length, maxLength: given.length }),
      ),
    );
    await fc.assert(
      fc.asyncProperty(orders, async ([given, order, byHolder]) => {
        const asked = await askOne();
        // The first ones were asked for before the contact was wanted, the last one after.
        const askedAtMs = given.map((_, index) => asked.nowMs - (given.length - 1 - index) * 10);
        for (const index of order) {
          const decision = given[index];
          if (decision === undefined) continue;
          const epoch = byHolder[index] ? asked.epoch : stranger;
          await save({ ...asked, epoch }, askedAtMs[index] ?? 0, decision);
        }
        const contact = await readContact(database.pool, asked.instanceId);
        expect(contact).toMatchObject({ ...atRest, ...toExpectedRow(given, askedAtMs) });
        // The history is a chain that ends at the avatar.
        const links = contact.changes.map((change) => change.split(">"));
        for (const [index, [from]] of links.entries()) expect(from).toBe(links[index - 1]?.[1] ?? "");
        expect(links.at(-1)?.[1] ?? "").toBe(contact.version ?? "");
      }),
      { numRuns: 120 },
    );
  });
});

describe("many writers at once", () => {
  test("never deadlock for good: savers, holders of leases and producers of the same contacts all come to an end", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    const chatIds = Array.from({ length: 60 }, (_, index) => toChatId((index * 37) % 60));
    await acceptContacts(database.pool, instanceId, chatIds);
    const ids = (await readContacts(database.pool, instanceId)).map(({ id }) => id);
    const saver = async (reversed: boolean) => {
      const nowMs = await readDatabaseNow(database.pool);
      const records: LookupRecord[] = ids.map((id) => toRecord(id, stranger, nowMs, present("/a.jpg")));
      await ledger.saveLookups(reversed ? records.toReversed() : records);
    };
    const holder = async () => {
      const process = randomUUID();
      const lease = await ledger.takeLease(instanceId, process);
      if (lease.kind !== "taken") return;
      const { epoch } = lease;
      const contacts = await readAllDue(ledger, instanceId, 20);
      await ledger.renewLeases(process, [{ instanceId, epoch, calls: 20, turns: [0, 1, 0] }]);
      const inFlight = contacts.map(({ contactId }) => contactId).toReversed();
      await giveBack(ledger, instanceId, { owner: process, epoch }, inFlight);
    };
    const rounds = Array.from({ length: 12 }, async (_, round) =>
      Promise.all([
        stubborn(async () => saver(round % 2 === 0)),
        stubborn(holder),
        stubborn(async () =>
          acceptContacts(database.pool, instanceId, round % 2 ? chatIds : chatIds.toReversed()),
        ),
      ]),
    );
    await Promise.all(rounds);
    expect(await readContacts(database.pool, instanceId)).toHaveLength(60);
  });
});

describe("lists by status", () => {
  test("have each contact that was saved above, once, as what it is", async () => {
    const { rows } = await database.pool.query("select distinct status from avatars.contact_statuses");
    expect(rows.length).toBeGreaterThanOrEqual(5);
    expect(await readWronglyListed(database.pool)).toEqual([]);
  });

  test("follow what others write, also beside a save, and what is deleted", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1), toChatId(2), toChatId(3)]);
    const listed = async () => {
      const { rows } = await database.pool.query<{ status: string }>(
        "select status from avatars.contact_statuses where instance_id = $1 order by contact_id",
        [instanceId],
      );
      expect(await readWronglyListed(database.pool)).toEqual([]);
      return rows.map(({ status }) => status);
    };
    for (const [statement, statuses] of [
      [
        "update avatars.contacts set status = 'present' where instance_id = $1",
        ["present", "present", "present"],
      ],
      [
        "update avatars.contacts set status = 'unknown' where instance_id = $1 and chat_id like '%1@%'",
        ["present", "present"],
      ],
      [
        "update avatars.contacts set status = 'hidden' where instance_id = $1 and chat_id like '%2@%'",
        ["hidden", "present"],
      ],
      ["delete from avatars.contacts where instance_id = $1 and chat_id like '%2@%'", ["present"]],
      [
        "insert into avatars.contacts (instance_id, chat_id, status) values ($1, '79000000009@c.us', 'invalid')",
        ["present", "invalid"],
      ],
    ] as const) {
      await database.pool.query(statement, [instanceId]);
      expect([statement, await listed()]).toEqual([statement, statuses]);
    }
  });
});
