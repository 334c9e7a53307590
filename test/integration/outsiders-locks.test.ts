import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { Lookup } from "../../src/domain/outcome.ts";
import { isTransient } from "../../src/store/postgres/database.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { applyLookupsAside } from "../../src/store/work/save-lookups.ts";
import { createWorker, type AvatarWorker, type WorkerEvents } from "../../src/worker/create-worker.ts";
import { eventually } from "../support/eventually.ts";
import { createGate } from "../support/gate.ts";
import {
  acceptContacts,
  addInstance,
  claim,
  paceSettings,
  present,
  readContact,
  readContacts,
  readDatabaseNow,
  release,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openOutsider, type Outsider } from "../support/outsider.ts";
import { defaultRefreshPolicy } from "../support/refresh.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let crm: Outsider;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => database.close());
beforeEach(async () => {
  crm = await openOutsider(database);
});
afterEach(async () => {
  await crm.close();
  // What a test leaves that fails would make others fail, which count all that is put aside.
  await database.pool.query("delete from avatars.lookups_aside");
});

const apply = async () => applyLookupsAside(database.pool, false, isTransient);
const ledgerWith = (claimLeaseMs: number) => createRunLedger(database, { ...paceSettings, claimLeaseMs });
const ledger = createLazily(() => ledgerWith(30_000));

function createLazily<T>(create: () => T): () => T {
  let created: T | undefined;
  return () => (created ??= create());
}

async function listAside(): Promise<{ chat_id: string; kind: string | null; claimed_until: Date | null }[]> {
  const { rows } = await database.pool.query<{
    chat_id: string;
    kind: string | null;
    claimed_until: Date | null;
  }>(
    `select c.chat_id, a.record ->> 'kind' as kind, a.claimed_until
     from avatars.lookups_aside a join avatars.contacts c on c.id = a.contact_id order by c.chat_id`,
  );
  return rows;
}

const answer: Lookup = { outcome: { kind: "absent", scope: "chat" }, tookMs: 1 };

describe("the ledger, while another program holds a contact", () => {
  test("saves the others, and the held one when it is free, without a claim of it in between", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1), toChatId(2)]);
    const { runId, contacts } = await claim(ledgerWith(1), instanceId);
    const [held, free] = contacts.map(({ contactId }) => contactId) as [number, number];
    await crm.enqueue(instanceId, [toChatId(1)]);
    const nowMs = await readDatabaseNow(database.pool);
    const unsaved = await ledger().saveLookups(
      [held, free].map((id) => toRecord(id, runId, nowMs, present("/a.jpg"))),
    );
    expect(unsaved).toEqual({ setAside: new Set([held]), left: new Set(), imageWanted: new Set() });
    expect((await readContacts(database.pool, instanceId)).map(({ status }) => status)).toEqual([
      "unknown",
      "present",
    ]);
    expect(await apply()).toEqual({ records: 0, refused: [] });

    await crm.query("commit");
    const claimed = await ledger().claimDueContacts({ instanceId, runId, laneId: runId, limit: 9 });
    expect(claimed.kind).toBe("idle");
    expect(await apply()).toEqual({ records: 1, refused: [] });
    expect(await listAside()).toEqual([]);
    const [first] = await readContacts(database.pool, instanceId);
    expect(first).toMatchObject({
      status: "present",
      version: "/a.jpg",
      due_at: null,
      attempts: 1,
      changes: [">/a.jpg"],
    });
  });

  test("keeps the claim of a call in flight beyond its lease", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const { runId, contacts } = await claim(ledgerWith(1), instanceId);
    const contactId = contacts[0]?.contactId ?? 0;
    await crm.enqueue(instanceId, [toChatId(1)]);
    await ledger().extendClaims([{ contactId, runId }]);
    await crm.query("rollback");
    expect(await readContact(database.pool, instanceId)).toMatchObject({ claimable: true });
    const request = { instanceId, runId, laneId: runId, limit: 9 };
    expect((await ledger().claimDueContacts(request)).kind).toBe("idle");
    await ledger().saveLookups([toRecord(contactId, runId, await readDatabaseNow(database.pool), release)]);
    expect(await listAside()).toEqual([]);
    expect((await ledger().claimDueContacts(request)).kind).toBe("claimed");
  });

  test("does not keep a claim for longer than its process lives", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const { runId, contacts } = await claim(ledgerWith(1), instanceId);
    await crm.enqueue(instanceId, [toChatId(1)]);
    await ledgerWith(1).extendClaims(contacts.map(({ contactId }) => ({ contactId, runId })));
    await crm.query("rollback");
    expect(await listAside()).toHaveLength(1);
    await eventually(async () => expect((await claim(ledger(), instanceId)).contacts).toHaveLength(1));
    await database.pool.query("update avatars.lookups_aside set claimed_until = now() - interval '1 hour'");
    await apply();
    expect(await listAside()).toEqual([]);
  });

  test.each(["releaseClaims", "putOff"] as const)("gives its claim back later, by %s", async (how) => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const { runId, contacts } = await claim(ledger(), instanceId);
    const fence = { contactId: contacts[0]?.contactId ?? 0, runId };
    await crm.enqueue(instanceId, [toChatId(1)]);
    await (how === "putOff" ? ledger().putOff(fence, "held") : ledger().releaseClaims([fence]));
    await crm.query("commit");
    await apply();
    expect(await readContact(database.pool, instanceId)).toMatchObject({
      claimable: true,
      attempts: 0,
      last_error: how === "putOff" ? "held" : null,
    });
  });

  test("asks the contact again whose record Postgres never takes", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1), toChatId(2)]);
    const { runId, contacts } = await claim(ledgerWith(1), instanceId);
    await crm.enqueue(instanceId, [toChatId(1), toChatId(2)]);
    const nowMs = await readDatabaseNow(database.pool);
    await ledger().saveLookups(
      contacts.map(({ contactId }) => toRecord(contactId, runId, nowMs, present("/a.jpg"))),
    );
    await crm.query("rollback");
    const bad = contacts[0]?.contactId ?? 0;
    await database.pool.query(
      "update avatars.lookups_aside set record = replace(record::text, 'present', 'nonsense')::json where contact_id = $1",
      [bad],
    );
    const applied = await apply();
    expect(applied).toMatchObject({ records: 1, refused: [{ contactId: bad }] });
    expect((await claim(ledger(), instanceId)).contacts.map(({ contactId }) => contactId)).toEqual([bad]);
  });

  test("forgets what is put aside of a contact that is erased", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const { runId, contacts } = await claim(ledger(), instanceId);
    const record = toRecord(
      contacts[0]?.contactId ?? 0,
      runId,
      await readDatabaseNow(database.pool),
      present("/a.jpg"),
    );
    await crm.enqueue(instanceId, [toChatId(1)]);
    await ledger().saveLookups([record]);
    await crm.query("rollback");
    const eraser = await database.pool.connect();
    try {
      await eraser.query("begin");
      await eraser.query("delete from avatars.contacts where id = $1", [record.contactId]);
      expect(await ledger().saveLookups([record])).toEqual({
        setAside: new Set(),
        left: new Set([record.contactId]),
        imageWanted: new Set(),
      });
      await eraser.query("commit");
    } finally {
      eraser.release();
    }
    expect(await ledger().saveLookups([record])).toEqual({
      setAside: new Set(),
      left: new Set(),
      imageWanted: new Set(),
    });
    expect(await listAside()).toEqual([]);
  });
});

/** Workers of two processes, each with runs of both instances one after the other, and the calls that they have made. */
function openWorkers(count: number, claimLeaseMs: number, instanceIds: readonly InstanceId[]) {
  const calls: ChatId[] = [];
  const held = new Map<ChatId, Promise<void>>();
  const stopping = new AbortController();
  const noEvents = new Proxy({} as WorkerEvents, { get: () => () => undefined });
  let claims = 0;
  const createOne = (): AvatarWorker => {
    const real = ledgerWith(claimLeaseMs);
    return createWorker({
      ledger: {
        ...real,
        async claimDueContacts(request) {
          const result = await real.claimDueContacts(request);
          claims += 1;
          return result;
        },
      },
      isTransient,
      async getAvatar(_instance, chatId, { onSent }) {
        onSent();
        calls.push(chatId);
        await held.get(chatId);
        return answer;
      },
      getState: async () => ({ kind: "state", state: "authorized", verdict: "works" }),
      openToken: () => "token",
      wakeAfter: () => undefined,
      othersWait: async () => false,
      clock: performance,
      random: Math.random,
      settings: {
        sliceMs: 60_000,
        maxInFlight: 50,
        claimLeaseMs,
        retry: { maxAttempts: 5, retryBaseMs: 0, retryMaxMs: 0 },
        probe: { probeBaseMs: 15_000, probeMaxMs: 600_000 },
        refresh: defaultRefreshPolicy,
      },
      events: noEvents,
    });
  };
  const workers = Array.from({ length: count }, createOne);
  const running = workers.flatMap((worker) =>
    instanceIds.map(async (instanceId) => {
      while (!stopping.signal.aborted) await worker.run(instanceId, stopping.signal);
    }),
  );
  return {
    calls,
    held,
    countClaims: () => claims,
    async stop() {
      stopping.abort();
      await Promise.all(running);
      await Promise.all(workers.map(async (worker) => worker.stop(0)));
    },
  };
}

const countSaved = async (instanceId: InstanceId) =>
  (await readContacts(database.pool, instanceId)).filter(({ checked_at: at }) => at !== null).length;

describe("workers, while a CRM's transaction holds the contact whose call is in flight", () => {
  test("save all others of all instances, each called once, and the held one after its commit without another call", async () => {
    const [one, two] = [await addInstance(database), await addInstance(database)];
    const x = toChatId(1);
    const others = Array.from({ length: 8 }, (_, n) => toChatId(10 + n));
    const ofTwo = Array.from({ length: 10 }, (_, n) => toChatId(100 + n));
    await acceptContacts(database.pool, one, [x]);
    const answered = createGate();
    const workers = openWorkers(1, 30_000, [one, two]);
    try {
      workers.held.set(x, answered.opened);
      await eventually(() => expect(workers.calls).toEqual([x]));
      await crm.enqueue(one, [x]);
      answered.open();
      await eventually(async () => expect(await listAside()).toMatchObject([{ chat_id: x, kind: "answer" }]));
      await acceptContacts(database.pool, one, others);
      await acceptContacts(database.pool, two, ofTwo);
      await eventually(async () => expect([await countSaved(one), await countSaved(two)]).toEqual([8, 10]));
      expect(workers.calls.toSorted()).toEqual([x, ...others, ...ofTwo].toSorted());

      await crm.query("commit");
      await eventually(async () => {
        await apply();
        expect(await countSaved(one)).toBe(9);
      });
      expect(workers.calls.filter((chatId) => chatId === x)).toHaveLength(1);
    } finally {
      answered.open();
      await workers.stop();
    }
    expect(await readContacts(database.pool, one)).toMatchObject(
      Array.from({ length: 9 }, () => ({ due_at: null, claimed_by: null })),
    );
  });

  test("call it once although it stays held beyond the lease of the claim, before and after the answer", async () => {
    const instanceId = await addInstance(database);
    const x = toChatId(1);
    await acceptContacts(database.pool, instanceId, [x]);
    const answered = createGate();
    const workers = openWorkers(2, 3_000, [instanceId]);
    const seeClaims = async (more: number) => {
      const before = workers.countClaims();
      await eventually(() => expect(workers.countClaims()).toBeGreaterThan(before + more));
    };
    const seeClaimable = async () =>
      eventually(async () =>
        expect(await readContact(database.pool, instanceId)).toMatchObject({ claimable: true }),
      );
    try {
      workers.held.set(x, answered.opened);
      await eventually(() => expect(workers.calls).toEqual([x]));
      await crm.enqueue(instanceId, [x]);
      await seeClaimable();
      await seeClaims(4);
      expect(await listAside()).toMatchObject([{ chat_id: x, kind: null }]);
      answered.open();
      await eventually(async () => expect(await listAside()).toMatchObject([{ chat_id: x, kind: "answer" }]));
      await crm.query("commit");
      await seeClaims(4);
      await apply();
      expect(await readContact(database.pool, instanceId)).toMatchObject({ status: "absent", due_at: null });
      await seeClaims(4);
      expect(workers.calls).toEqual([x]);
    } finally {
      answered.open();
      await workers.stop();
    }
  });

  test("stop, and leave the answer in the ledger for the next process", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const workers = openWorkers(1, 30_000, [instanceId]);
    const answered = createGate();
    workers.held.set(toChatId(1), answered.opened);
    await eventually(() => expect(workers.calls).toHaveLength(1));
    await crm.enqueue(instanceId, [toChatId(1)]);
    answered.open();
    await workers.stop();
    expect(await readContact(database.pool, instanceId)).toMatchObject({ checked_at: null });
    await crm.query("commit");
    await apply();
    expect(await readContact(database.pool, instanceId)).toMatchObject({
      status: "absent",
      claimed_by: null,
    });
  });
});
