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
  claim,
  giveUp,
  hidden,
  invalid,
  paceSettings,
  present,
  readContact,
  readContacts,
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
/** A run that has no claim. */
const stranger = () => randomUUID();

interface Claimed {
  readonly instanceId: InstanceId;
  readonly contactId: number;
  readonly runId: string;
  /** A moment at which a call may have been sent: just now. */
  readonly nowMs: number;
}

/** One contact, accepted with no patience for older answers, and claimed. */
async function claimOne(): Promise<Claimed> {
  const instanceId = await addInstance(database);
  await acceptContacts(database.pool, instanceId, [toChatId(1)]);
  const { runId, contacts } = await claim(ledger, instanceId);
  const nowMs = await readDatabaseNow(database.pool);
  return { instanceId, contactId: contacts[0]?.contactId ?? 0, runId, nowMs };
}

const save = async ({ contactId, runId }: Claimed, askedAtMs: number, decision: ContactDecision) =>
  ledger.saveLookups([toRecord(contactId, runId, askedAtMs, decision)]);

/** Somebody wants a newer answer than any there is; a run has claimed the contact for it. */
async function askAgain({ instanceId }: Claimed): Promise<Claimed> {
  await acceptContacts(database.pool, instanceId, [toChatId(1)]);
  const { runId, contacts } = await claim(ledger, instanceId);
  const nowMs = await readDatabaseNow(database.pool);
  return { instanceId, contactId: contacts[0]?.contactId ?? 0, runId, nowMs };
}

const atRest = { due_at: null, wanted_at: null, claimed_by: null, claimed_until: null };

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
    const first = await claimOne();
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
    const claimed = await claimOne();
    await save(claimed, claimed.nowMs, present("/a.jpg"));
    const seenAt = new Date(Math.floor(claimed.nowMs));
    expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({
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
    const claimed = await claimOne();
    await save(claimed, claimed.nowMs, absent);
    expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({
      ...atRest,
      status: "absent",
      url: null,
      version: null,
      changes: [],
    });
    const again = await askAgain(claimed);
    await save(again, again.nowMs, present("/a.jpg"));
    const last = await askAgain(claimed);
    await save(last, last.nowMs, absent);
    expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({
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
    ["put off", retry, { status: "present", last_error: "no answer", claimed_by: null, claimable: false }],
    [
      "released",
      release,
      { status: "present", last_error: "instance held", claimed_by: null, claimable: true },
    ],
  ])("that is %s leaves the avatar as it was", async (_, decision, expected) => {
    const claimed = await claimOne();
    await save(claimed, claimed.nowMs, present("/a.jpg"));
    const before = await readContact(database.pool, claimed.instanceId);
    const again = await askAgain(claimed);
    await save(again, again.nowMs, decision);
    const after = await readContact(database.pool, claimed.instanceId);
    expect(after).toMatchObject(expected);
    for (const key of ["url", "url_expires_at", "version", "changed_at", "seen_at", "changes"] as const) {
      expect(after[key]).toEqual(before[key]);
    }
  });

  test("spends an attempt, unless it is a release", async () => {
    const claimed = await claimOne();
    await save(claimed, claimed.nowMs, release);
    const first = await claim(ledger, claimed.instanceId);
    expect(first.contacts[0]?.attempts).toBe(0);
    await save({ ...claimed, runId: first.runId }, claimed.nowMs, {
      ...retry,
      dueInMs: 0,
    } as ContactDecision);
    const second = await claim(ledger, claimed.instanceId);
    expect(second.contacts[0]?.attempts).toBe(1);
    await save({ ...claimed, runId: second.runId }, claimed.nowMs, giveUp);
    expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({ attempts: 2 });
  });

  test("that is put off is due after its backoff, and somebody still waits for it", async () => {
    const claimed = await claimOne();
    await save(claimed, claimed.nowMs, retry);
    const { due_at, wanted_at } = await readContact(database.pool, claimed.instanceId);
    expect(wanted_at).not.toBeNull();
    expect(due_at?.getTime()).toBeGreaterThanOrEqual(Math.floor(claimed.nowMs) + 60_000);
  });

  test.each([
    ["present", present("/a.jpg"), null],
    ["given up", giveUp, null],
    ["put off", retry, null],
    ["released", release, "1"],
  ])("that is %s has had its turn, unless it was released", async (_, decision, turn) => {
    const claimed = await claimOne();
    expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({ turn: "1" });
    await save(claimed, claimed.nowMs, decision);
    expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({ turn });
  });

  test("that is released keeps the reason it had where none is given", async () => {
    const claimed = await claimOne();
    await save(claimed, claimed.nowMs, { ...retry, dueInMs: 0 } as ContactDecision);
    const { runId } = await claim(ledger, claimed.instanceId);
    await save({ ...claimed, runId }, claimed.nowMs, { kind: "release", error: undefined });
    expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({ last_error: "no answer" });
  });

  test("whose URL differs in its query only is no change, and its URL is the newest", async () => {
    const claimed = await claimOne();
    await save(claimed, claimed.nowMs, present("/a.jpg", "oe=1"));
    const again = await askAgain(claimed);
    await save(again, again.nowMs, present("/a.jpg", "oe=2"));
    const last = await askAgain(claimed);
    await save(last, last.nowMs, present("/b.jpg"));
    const { url, changed_at, changes } = await readContact(database.pool, claimed.instanceId);
    expect(url).toBe("https://pps.whatsapp.net/b.jpg?oe=1");
    expect(changed_at).toEqual(new Date(Math.floor(last.nowMs)));
    expect(changes).toEqual([">/a.jpg", "/a.jpg>/b.jpg"]);
  });

  test("with the same answer renews the URL and leaves the moment of the change", async () => {
    const claimed = await claimOne();
    await save(claimed, claimed.nowMs, present("/a.jpg", "oe=1"));
    const again = await askAgain(claimed);
    await save(again, again.nowMs, present("/a.jpg", "oe=2"));
    expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({
      url: "https://pps.whatsapp.net/a.jpg?oe=2",
      changed_at: new Date(Math.floor(claimed.nowMs)),
      seen_at: new Date(Math.floor(again.nowMs)),
      changes: [">/a.jpg"],
    });
  });

  test("that was asked for before somebody wanted a newer one leaves the contact due", async () => {
    const claimed = await claimOne();
    await acceptContacts(database.pool, claimed.instanceId, [toChatId(1)]);
    await save(claimed, claimed.nowMs, present("/a.jpg"));
    const contact = await readContact(database.pool, claimed.instanceId);
    expect(contact).toMatchObject({
      status: "present",
      url: expect.stringContaining("/a.jpg"),
      claimable: true,
      turn: null,
    });
    expect(contact.wanted_at).not.toBeNull();
    const { runId } = await claim(ledger, claimed.instanceId);
    const nowMs = await readDatabaseNow(database.pool);
    await save({ ...claimed, runId }, nowMs, absent);
    expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({
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
        const claimed = await claimOne();
        const avatar = {
          kind: "seen",
          url: `https://x/${version}`,
          urlExpiresAt: undefined,
          version,
        } as const;
        await save(claimed, claimed.nowMs, { kind: "answer", status: "present", avatar, note: error });
        expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({
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
    await ledger.saveLookups([toRecord(999_999, randomUUID(), 1, present("/a.jpg"))]);
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
    const { runId, contacts } = await claim(ledger, instanceId);
    const nowMs = await readDatabaseNow(database.pool);
    const decisions = [present("/a.jpg"), absent, hidden, invalid, giveUp, retry, release];
    const records = contacts.map(({ contactId }, index) =>
      toRecord(contactId, runId, nowMs, decisions[index % decisions.length] ?? release),
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
  ])("let a %s change nothing that comes from who does not hold the claim", async (_, decision) => {
    const claimed = await claimOne();
    const before = await readContact(database.pool, claimed.instanceId);
    await save({ ...claimed, runId: stranger() }, claimed.nowMs + 1_000, decision);
    expect(await readContact(database.pool, claimed.instanceId)).toEqual(before);
    await save(claimed, claimed.nowMs, present("/a.jpg"));
    const answered = await readContact(database.pool, claimed.instanceId);
    await save(claimed, claimed.nowMs + 1_000, decision);
    expect(await readContact(database.pool, claimed.instanceId)).toEqual(answered);
  });

  test("take a clear answer from anybody, and end the claim of whoever else is at it", async () => {
    const claimed = await claimOne();
    await save({ ...claimed, runId: stranger() }, claimed.nowMs, present("/a.jpg"));
    expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({
      ...atRest,
      status: "present",
    });
  });

  test("leave the claim to its holder when a stranger's answer is too old for who waits", async () => {
    const claimed = await claimOne();
    await save({ ...claimed, runId: stranger() }, claimed.nowMs - 60_000, present("/a.jpg"));
    const contact = await readContact(database.pool, claimed.instanceId);
    expect(contact).toMatchObject({ status: "present", claimed_by: claimed.runId });
    expect(contact.due_at).not.toBeNull();
    expect(contact.wanted_at).not.toBeNull();
  });

  test("let an older answer replace nothing, whoever holds the claim", async () => {
    const claimed = await claimOne();
    await save(claimed, claimed.nowMs, present("/new.jpg"));
    const before = await readContact(database.pool, claimed.instanceId);
    for (const runId of [claimed.runId, stranger()]) {
      await save({ ...claimed, runId }, claimed.nowMs - 1, present("/old.jpg"));
      await save({ ...claimed, runId }, claimed.nowMs - 1, absent);
      await save({ ...claimed, runId }, claimed.nowMs - 1, hidden);
    }
    expect(await readContact(database.pool, claimed.instanceId)).toEqual(before);
  });

  test("take an answer that comes after the contact was given up", async () => {
    const claimed = await claimOne();
    await save(claimed, claimed.nowMs, giveUp);
    await save({ ...claimed, runId: stranger() }, claimed.nowMs, present("/a.jpg"));
    expect(await readContact(database.pool, claimed.instanceId)).toMatchObject({
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
        const claimed = await claimOne();
        // The first ones were asked for before the contact was wanted, the last one after.
        const askedAtMs = given.map((_, index) => claimed.nowMs - (given.length - 1 - index) * 10);
        for (const index of order) {
          const decision = given[index];
          if (decision === undefined) continue;
          const runId = byHolder[index] ? claimed.runId : stranger();
          await save({ ...claimed, runId }, askedAtMs[index] ?? 0, decision);
        }
        const contact = await readContact(database.pool, claimed.instanceId);
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
  test("never deadlock for good: savers, claimers and producers of the same contacts all come to an end", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    const chatIds = Array.from({ length: 60 }, (_, index) => toChatId((index * 37) % 60));
    await acceptContacts(database.pool, instanceId, chatIds);
    const ids = (await readContacts(database.pool, instanceId)).map(({ id }) => id);
    const saver = async (reversed: boolean) => {
      const nowMs = await readDatabaseNow(database.pool);
      const records: LookupRecord[] = ids.map((id) => toRecord(id, randomUUID(), nowMs, present("/a.jpg")));
      await ledger.saveLookups(reversed ? records.toReversed() : records);
    };
    const claimer = async () => {
      const runId = randomUUID();
      const request = { instanceId, runId, laneId: runId, limit: 20 };
      const result = await ledger.claimDueContacts(request);
      if (result.kind !== "claimed") return;
      const fences = result.claim.contacts.map(({ contactId }) => ({ contactId, runId }));
      await ledger.extendClaims(fences.toReversed());
      await ledger.releaseClaims(fences);
    };
    const rounds = Array.from({ length: 12 }, async (_, round) =>
      Promise.all([
        stubborn(async () => saver(round % 2 === 0)),
        stubborn(claimer),
        stubborn(async () =>
          acceptContacts(database.pool, instanceId, round % 2 ? chatIds : chatIds.toReversed()),
        ),
      ]),
    );
    await Promise.all(rounds);
    expect(await readContacts(database.pool, instanceId)).toHaveLength(60);
  });
});
