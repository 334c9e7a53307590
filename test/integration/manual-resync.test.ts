import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { requestedStep, toStep } from "../../src/domain/refresh/refresh-step.ts";
import { openTrickles } from "../../src/store/resync/find-releasable-runs.ts";
import type { RefreshFilter } from "../../src/domain/resync/manual-resync.ts";
import {
  countMatching,
  openManualResync,
  type DatedResync,
} from "../../src/store/resync/open-manual-resync.ts";
import { beginNights, findLastNightAt, openNight, readClock } from "../../src/store/resync/resync-nights.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import {
  absent,
  acceptContacts,
  addInstance,
  ask,
  paceSettings,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { addResting, openRun, releaseOnce, type RestingContact } from "../support/resync.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

const dayMs = 86_400_000;
const week = toStep(7 * dayMs);

let database: TestDatabase;
/** What the database's clock said at the start: claims go by it. */
let now: Date;
beforeAll(async () => {
  database = await openTestDatabase();
  now = await readClock(database.pool);
});
afterAll(() => database.close());

const inDays = (days: number) => new Date(now.getTime() + days * dayMs);
const anyone: RefreshFilter = { statuses: undefined, kind: undefined, olderThanMs: undefined };

function open(instanceId: InstanceId, request: Partial<DatedResync> = {}) {
  return openManualResync(database.pool, {
    instanceId,
    filter: undefined,
    mostContacts: undefined,
    now,
    isInWindow: true,
    ...request,
  });
}

/** A contact that is not due for a week. */
function resting(name: string, contact: Partial<RestingContact> = {}): RestingContact {
  return { name, step: week, refreshAt: inDays(7), checkedAt: inDays(-1), ...contact };
}

function many(count: number, contact: Partial<RestingContact> = {}): RestingContact[] {
  return Array.from({ length: count }, (_, index) => resting(String(index), contact));
}

/** The names of those that are asked for by hand and wait for it. */
async function readMarked(instanceId: InstanceId): Promise<string[]> {
  const { rows } = await database.pool.query<{ external_ref: string }>(
    `select external_ref from avatars.contacts
     where instance_id = $1 and refresh_step = ${requestedStep} and due_at is null and refresh_at = $2
     order by external_ref collate "C"`,
    [instanceId, now],
  );
  return rows.map((row) => row.external_ref);
}

async function readDue(instanceId: InstanceId): Promise<string[]> {
  const { rows } = await database.pool.query<{ external_ref: string }>(
    "select external_ref from avatars.contacts where instance_id = $1 and due_at is not null order by turn, id",
    [instanceId],
  );
  return rows.map((row) => row.external_ref);
}

async function readRuns(instanceId: InstanceId): Promise<Record<string, unknown>[]> {
  const { rows } = await database.pool.query<Record<string, unknown>>(
    `select id::int as id, kind, ended_by, ended_at is null as is_open, due, planned, left_over, requested_only, most_contacts
     from avatars.resync_runs where instance_id = $1 order by id`,
    [instanceId],
  );
  return rows;
}

/** A night that is under way for the instances that there are. */
async function openNightNow(): Promise<void> {
  const { pool } = database;
  await beginNights(pool, inDays(-1), now);
  const lastNightAt = await findLastNightAt(pool);
  const slotAt = new Date(lastNightAt!.getTime() + 60_000);
  await openNight(pool, { slotAt, lastNightAt: lastNightAt!, now, endsAt: undefined });
}

describe("a filter means, due or not,", () => {
  let instanceId: InstanceId;

  beforeAll(async () => {
    instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, [
      resting("absent", { status: "absent" }),
      resting("due", { refreshAt: inDays(-1) }),
      resting("hidden", { status: "hidden" }),
      resting("hidden long ago", { status: "hidden", checkedAt: inDays(-40) }),
      resting("invalid for ever", { status: "invalid", refreshAt: null, checkedAt: inDays(-90) }),
      resting("long ago", { checkedAt: inDays(-31) }),
      { name: "never asked", step: -2, refreshAt: inDays(0), status: "unknown" },
    ]);
    await database.pool.query(
      `insert into avatars.contacts (instance_id, chat_id, external_ref, refresh_step, refresh_at, status, checked_at)
       values ($1, '120363000000000001@g.us', 'the group', 30, $2, 'present', $3)`,
      [instanceId, inDays(7), inDays(-60)],
    );
    // Another instance's are never meant.
    const other = await addInstance(database);
    await addResting(database.pool, other, [
      resting("not ours", { status: "hidden", checkedAt: inDays(-99) }),
    ]);
  });

  test.each<[string, Partial<RefreshFilter> & { readonly notForDays?: number }, string[]]>([
    ["contacts of a status", { statuses: ["hidden"] }, ["hidden", "hidden long ago"]],
    ["of any of several", { statuses: ["invalid", "absent"] }, ["absent", "invalid for ever"]],
    ["groups", { kind: "group" }, ["the group"]],
    ["users that have had no answer for so long", { kind: "user", notForDays: 9_999 }, ["never asked"]],
    [
      "those without an answer for so long, or at all",
      { notForDays: 30 },
      ["hidden long ago", "invalid for ever", "long ago", "never asked", "the group"],
    ],
    [
      "only what meets all conditions",
      { statuses: ["hidden", "present"], kind: "user", notForDays: 30 },
      ["hidden long ago", "long ago"],
    ],
    ["nobody, where nobody meets it", { statuses: ["unreachable"] }, []],
  ])("%s", async (_, { notForDays, ...given }, expected) => {
    const olderThanMs = notForDays === undefined ? undefined : notForDays * dayMs;
    const filter = { ...anyone, olderThanMs, ...given };
    const unmark = await remember(instanceId);
    expect(await countMatching(database.pool, instanceId, filter)).toBe(expected.length);
    expect(await readMarked(instanceId)).toEqual([]);
    const opened = await open(instanceId, { filter });
    expect(opened).toMatchObject({ instanceId, kind: "manual", contacts: expected.length });
    expect(await readMarked(instanceId)).toEqual(expected);
    expect((await readRuns(instanceId)).at(-1)).toMatchObject({
      id: opened.runId,
      requested_only: true,
      due: expected.length,
      planned: expected.length,
    });
    await unmark();
  });
});

/** Returns what makes the contacts as they are now. */
async function remember(instanceId: InstanceId): Promise<() => Promise<void>> {
  const { rows } = await database.pool.query(
    "select id, refresh_at, refresh_step from avatars.contacts where instance_id = $1",
    [instanceId],
  );
  return async () => {
    await database.pool.query(
      `update avatars.contacts c set refresh_at = b.refresh_at, refresh_step = b.refresh_step
       from json_to_recordset($1::json) as b (id bigint, refresh_at timestamptz, refresh_step smallint) where c.id = b.id`,
      [JSON.stringify(rows)],
    );
  };
}

describe("contacts are marked", () => {
  test("in windows of 5,000, all of them, whichever lie where", async () => {
    const instanceId = await addInstance(database);
    await database.pool.query(
      `insert into avatars.contacts (instance_id, chat_id, external_ref, refresh_step, refresh_at, status, checked_at)
       select $1, 79000000000 + n || '@c.us', n, ${week}, $2, case when n % 3 = 0 then 'hidden' else 'present' end, $2
       from generate_series(1, 15000) n`,
      [instanceId, inDays(7)],
    );
    const filter: RefreshFilter = { ...anyone, statuses: ["hidden"] };
    expect(await open(instanceId, { filter })).toMatchObject({ contacts: 5_000 });
    expect(await readMarked(instanceId)).toHaveLength(5_000);
    expect(await open(instanceId, { filter: anyone })).toMatchObject({ contacts: 15_000 });
    expect(await readMarked(instanceId)).toHaveLength(15_000);
    expect(await open(instanceId, { filter: anyone, mostContacts: 12_345 })).toMatchObject({
      contacts: 12_345,
    });
  });

  test("up to a limit: those that were not asked for longest, the never asked first", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, [
      resting("1 day ago", { status: "hidden" }),
      resting("9 days ago, present", { checkedAt: inDays(-9) }),
      resting("3 days ago", { status: "hidden", checkedAt: inDays(-3) }),
      { name: "never", step: -2, refreshAt: null, status: "hidden" },
      resting("2 days ago, due", { status: "hidden", checkedAt: inDays(-2), refreshAt: inDays(-1) }),
    ]);
    const filter: RefreshFilter = { ...anyone, statuses: ["hidden"] };
    const opened = await open(instanceId, { filter, mostContacts: 2 });
    expect(opened).toMatchObject({ contacts: 2 });
    expect(await readMarked(instanceId)).toEqual(["3 days ago", "never"]);
    // The due one is not asked by this run, which is for those that are marked.
    expect(await releaseOnce(database.pool, opened.runId, now)).toMatchObject({ released: 2 });
    expect((await readDue(instanceId)).toSorted()).toEqual(["3 days ago", "never"]);
  });

  test("but for those that are due or being asked, which are asked anyway", async () => {
    const instanceId = await addInstance(database);
    const ledger = createRunLedger(database, paceSettings);
    await acceptContacts(database.pool, instanceId, [toChatId(1), toChatId(2)]);
    await addResting(database.pool, instanceId, [resting("resting")]);
    const asked = await ask(ledger, instanceId, { limit: 1 });
    expect(await countMatching(database.pool, instanceId, anyone)).toBe(1);
    expect(await open(instanceId, { filter: anyone })).toMatchObject({ contacts: 1 });
    expect(await readMarked(instanceId)).toEqual(["resting"]);
    // The answer that is on its way is saved as ever.
    const [contact] = asked.contacts;
    const record = toRecord(contact!.contactId, asked.epoch, Date.now(), absent);
    await ledger.saveLookups([{ ...record, refresh: { at: inDays(14), step: week + 4 } }]);
    const { rows } = await database.pool.query(
      "select refresh_at, refresh_step, due_at from avatars.contacts where id = $1",
      [contact!.contactId],
    );
    expect(rows).toEqual([{ refresh_at: inDays(14), refresh_step: week + 4, due_at: null }]);
  });

  test("while their answers are saved: each is marked, or has the refresh that its answer plans", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 10_000 });
    const ledger = createRunLedger(database, { ...paceSettings, requestsPerSecond: 10_000 });
    const chats = Array.from({ length: 600 }, (_, index) => toChatId(index));
    await acceptContacts(database.pool, instanceId, chats);
    const { contacts, epoch } = await ask(ledger, instanceId);
    const refresh = { at: inDays(14), step: week };
    const saves = Array.from({ length: 12 }, async (_, part) =>
      ledger.saveLookups(
        contacts
          .slice(part * 50, part * 50 + 50)
          .map(({ contactId }) => ({ ...toRecord(contactId, epoch, Date.now(), absent), refresh })),
      ),
    );
    const opens = Array.from({ length: 4 }, () => open(instanceId, { filter: anyone }));
    await Promise.all([...saves, ...opens]);
    const { rows } = await database.pool.query(
      `select refresh_step, refresh_at, count(*)::int as contacts from avatars.contacts
       where instance_id = $1 and due_at is null group by 1, 2`,
      [instanceId],
    );
    expect(rows.reduce((sum, { contacts: some }) => sum + some, 0)).toBe(600);
    for (const { refresh_step: step, refresh_at: at } of rows)
      expect([at, step]).toEqual(step === requestedStep ? [now, requestedStep] : [refresh.at, refresh.step]);
  });
});

describe("what is due", () => {
  test("is asked without a filter, up to the limit, and counted", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, [...many(5, { refreshAt: inDays(-1) }), ...many(3)]);
    const all = await open(instanceId);
    expect(all).toMatchObject({ kind: "manual", contacts: 5 });
    const some = await open(instanceId, { mostContacts: 2 });
    expect(some).toMatchObject({ kind: "manual", contacts: 2 });
    expect(await readRuns(instanceId)).toMatchObject([
      { id: all.runId, ended_by: "manual", left_over: 5, requested_only: false, most_contacts: null },
      { id: some.runId, is_open: true, due: 5, planned: 2, requested_only: false, most_contacts: 2 },
    ]);
    expect(await releaseOnce(database.pool, some.runId, now)).toMatchObject({ released: 2 });
  });

  test("may be nothing: the run is over at its first look", async () => {
    const instanceId = await addInstance(database);
    const opened = await open(instanceId);
    expect(opened).toMatchObject({ contacts: 0 });
    expect(await releaseOnce(database.pool, opened.runId, now)).toMatchObject({ endedBy: "done" });
  });
});

describe("another run", () => {
  test("by day ends, and what it has under way is answered and counted as its own", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, many(50, { refreshAt: inDays(-1) }));
    const trickle = await openRun(database.pool, instanceId, now, "trickle");
    await releaseOnce(database.pool, trickle, now, { isInWindow: false });
    const opened = await open(instanceId, { mostContacts: 40 });
    // 36 are under way: 14 are left.
    expect(opened).toMatchObject({ kind: "manual", contacts: 14 });
    const { rows } = await database.pool.query(
      "select resync_run_id::int as run, count(*)::int as n from avatars.contacts where instance_id = $1 group by 1 order by 1",
      [instanceId],
    );
    expect(rows).toEqual([
      { run: trickle, n: 36 },
      { run: null, n: 14 },
    ]);
  });

  test("by hand ends, and those that it has marked are asked by the next one", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, [
      resting("hidden", { status: "hidden" }),
      resting("present"),
    ]);
    const first = await open(instanceId, { filter: { ...anyone, statuses: ["hidden"] } });
    const second = await open(instanceId, { filter: { ...anyone, statuses: ["present"] } });
    expect(second).toMatchObject({ kind: "manual", contacts: 1 });
    expect(await readRuns(instanceId)).toMatchObject([
      { id: first.runId, ended_by: "manual" },
      { id: second.runId, is_open: true },
    ]);
    expect(await releaseOnce(database.pool, second.runId, now)).toMatchObject({ released: 2 });
  });

  test("of a night goes on, and takes those that are marked first", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, [
      ...many(5, { refreshAt: inDays(-3) }),
      resting("marked", { status: "hidden" }),
    ]);
    await openNightNow();
    const [night] = await readRuns(instanceId);
    expect(await open(instanceId)).toEqual({
      instanceId,
      runId: night?.["id"],
      kind: "night",
      contacts: 5,
    });
    expect(await open(instanceId, { filter: { ...anyone, statuses: ["hidden"] } })).toMatchObject({
      runId: night?.["id"],
      kind: "night",
      contacts: 1,
    });
    expect(await readRuns(instanceId)).toMatchObject([{ kind: "night", is_open: true }]);
    await releaseOnce(database.pool, Number(night?.["id"]), now);
    expect((await readDue(instanceId))[0]).toBe("marked");
  });

  test("that is opened at the same moment makes way, or is joined: one is open in the end", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, many(10, { refreshAt: inDays(-1) }));
    await openNightNow();
    await database.pool.query("update avatars.resync_runs set ended_at = now(), ended_by = 'done'");
    for (let round = 0; round < 10; round += 1) {
      const opened = await Promise.all([
        open(instanceId),
        open(instanceId, { mostContacts: 3 }),
        openTrickles(database.pool, now, 0.3),
        open(instanceId, { filter: anyone }),
      ]);
      const ids = opened.flatMap((one) => (one === undefined ? [] : [one.runId]));
      expect(ids).toHaveLength(3);
      const runs = await readRuns(instanceId);
      expect(runs.filter((run) => run["is_open"])).toMatchObject([{ kind: "manual" }]);
      await database.pool.query("update avatars.resync_runs set ended_at = now(), ended_by = 'done'");
    }
  });
});
