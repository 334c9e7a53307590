import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatId } from "../../src/domain/chat-id.ts";
import { priorities, type Place, type QueuedContact } from "../../src/domain/ledger/due-queue.ts";
import type { HeldLease } from "../../src/domain/ledger/lease.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { releaseLeadMs } from "../../src/domain/resync/decide-release.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { cancelBatch } from "../../src/store/batches/cancel-batch.ts";
import { countRefreshes } from "../../src/store/resync/count-refreshes.ts";
import { findAnswered } from "../../src/store/batches/find-answered.ts";
import { countContacts } from "../../src/store/contacts/count-contacts.ts";
import { findContactDetail } from "../../src/store/contacts/find-contact-detail.ts";
import { listChangedContacts } from "../../src/store/contacts/list-changed-contacts.ts";
import { listContacts } from "../../src/store/contacts/list-contacts.ts";
import { findImageOfContact } from "../../src/store/images/find-image-of-contact.ts";
import { findContacts } from "../../src/store/contacts/find-contacts.ts";
import {
  findDueInstances,
  findHeldInstances,
  findStalledInstances,
} from "../../src/store/work/find-due-instances.ts";
import { findReleasableRuns, openTrickles } from "../../src/store/resync/find-releasable-runs.ts";
import { createBatchFinisher } from "../../src/store/batches/finish-batches.ts";
import { deleteOldRecords } from "../../src/store/accept/idempotency-records.ts";
import { listBatchItems } from "../../src/store/batches/list-batch-items.ts";
import { listBatches } from "../../src/store/batches/list-batches.ts";
import { listContactChanges } from "../../src/store/changes/list-contact-changes.ts";
import { findLatestNight, findLatestRuns, listResyncRuns } from "../../src/store/resync/list-resync-runs.ts";
import { openManualResync } from "../../src/store/resync/open-manual-resync.ts";
import { createChangeReader } from "../../src/store/changes/read-changes.ts";
import { findConsoleSessions } from "../../src/store/api-keys/console-sessions.ts";
import { claimRetries } from "../../src/store/webhooks/claim-retries.ts";
import { listDeliveries } from "../../src/store/webhooks/delivery-store.ts";
import { createEndpointStore } from "../../src/store/webhooks/endpoint-store.ts";
import { takeEndpoints } from "../../src/store/webhooks/leases.ts";
import { settleTries, trimWebhooks } from "../../src/store/webhooks/settle.ts";
import { readOverview, readPace } from "../../src/store/status/read-overview.ts";
import { findFeedItems, readFeed } from "../../src/store/webhooks/read-feed.ts";
import { countBacklog, readGauges } from "../../src/store/status/read-gauges.ts";
import { refreshContact } from "../../src/store/accept/refresh-contact.ts";
import { removeInSteps } from "../../src/store/retention/remove-in-steps.ts";
import { createBatchRemover } from "../../src/store/retention/remove-old-batches.ts";
import { createChangeRemover } from "../../src/store/retention/remove-old-changes.ts";
import { acceptSignals } from "../../src/store/accept/accept-signals.ts";
import { createErasureRemover } from "../../src/store/retention/remove-old-erasures.ts";
import { findLastNightAt, openNight, prepareNight } from "../../src/store/resync/resync-nights.ts";
import { retryBatch } from "../../src/store/batches/retry-batch.ts";
import { removeOldArrivals } from "../../src/store/work/arrivals.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { openSourceSync } from "../../src/store/resync/sync-source.ts";
import { withClient } from "../../src/store/postgres/with-client.ts";
import { writeActivity } from "../../src/store/status/worker-activity.ts";
import { nodesOf, openExplained, type Explained } from "../support/explained.ts";
import { acceptContacts, addInstance, paceSettings, present, toRecord } from "../support/ledger.ts";
import { releaseOnce } from "../support/resync.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

// What workers and the API do again and again must not read a whole table of the size of the contacts, whether the server knows
// how large it is or not. The plans are those of the statements as they run: the server tells them by auto_explain.
//
// Not in here is what people have done now and then, which may read all: `readStatus`, `countMatching`, the filters of
// `openManualResync`, `readResults` (export), and the removal of an instance. `createFindBatch` and `retryBatch` read all
// contacts of one batch.

/** After so many executions on one connection the server may settle for a plan that does not know the values. */
const timesPrepared = 7;
const instanceCount = 5;
const endpointCount = 3;
const contactCount = 50_000;
const dayMs = 86_400_000;

/** The tables that grow with the number of contacts. */
const largeTables = [
  "contacts",
  "contact_statuses",
  "avatars",
  "avatar_changes",
  "batch_members",
  "erased_chats",
  "webhook_retries",
  "webhook_events",
];

interface Stage {
  readonly pool: pg.Pool;
  readonly ledger: RunLedger;
  /** For what is no part of the test: nobody looks at its plans. */
  readonly besides: pg.Pool;
  readonly instanceIds: readonly InstanceId[];
  readonly now: Date;
  /** The lease of the first instance, the contacts that it has read, and how far. */
  held: HeldLease | undefined;
  readonly asked: QueuedContact[];
  readonly places: Map<string, Place>;
}

interface Call {
  readonly name: string;
  /** Which tables its plans must show: of each one that was not captured the test fails. */
  readonly reads: readonly string[];
  /** Large tables that it may read as a whole. */
  readonly readsWhole?: readonly string[];
  /** How often; default: 1. */
  readonly times?: number;
  readonly run: (stage: Stage) => Promise<unknown>;
}

/** The process of all leases. */
const owner = randomUUID();
const deadline = { deadlineMs: 30_000 };

const takeLease = async (stage: Stage) => {
  const instanceId = stage.instanceIds[0]!;
  const lease = await stage.ledger.takeLease(instanceId, owner);
  expect(lease.kind).toBe("taken");
  if (lease.kind === "taken") stage.held = { instanceId, epoch: lease.epoch, calls: 3, turns: [0, 0, 0] };
};
const remove = async ({ pool }: Stage, removeSome: Parameters<typeof removeInSteps>[1]["removeSome"]) => {
  const signal = new AbortController().signal;
  const removal = { gate: "old batches" as const, removeSome, signal, sleep: async () => undefined };
  const { removed } = await removeInSteps(pool, removal);
  expect(Object.values(removed).some((rows) => rows > 0)).toBe(true);
};
const chatIdsOf = async ({ besides }: Stage, instanceId: InstanceId, limit: number) => {
  const { rows } = await besides.query<{ chat_id: ChatId }>(
    "select chat_id from avatars.contacts where instance_id = $1 and is_listed order by id limit $2",
    [instanceId, limit],
  );
  return rows.map((row) => row.chat_id);
};
const trouble = {
  reason: "correspondents-exhausted",
  baseMs: 60_000,
  maxMs: 60_000,
  text: "trouble",
} as const;
const someBatch = async ({ besides }: Stage, which: string) => {
  const { rows } = await besides.query<{ id: string }>(
    `select id from avatars.batches where ${which} limit 1`,
  );
  return rows[0]!.id;
};

const calls: readonly Call[] = [
  // The night and its runs.
  { name: "findLastNightAt", reads: ["resync_nights"], run: ({ pool }) => findLastNightAt(pool) },
  {
    name: "openNight, which ends the runs that are open",
    reads: ["resync_nights", "resync_runs", "contacts"],
    async run({ pool, now }) {
      const lastNightAt = await findLastNightAt(pool);
      expect(await openNight(pool, { slotAt: now, lastNightAt: lastNightAt!, now, endsAt: undefined })).toBe(
        true,
      );
    },
  },
  {
    name: "prepareNight",
    reads: ["resync_nights", "resync_runs"],
    async run({ pool, instanceIds }) {
      const plans = instanceIds.map((instanceId) => ({ instanceId, due: 1, planned: 1 }));
      expect(await prepareNight(pool, async () => ({ source: undefined, plans }))).toBeInstanceOf(Date);
    },
  },
  {
    name: "countRefreshes of all",
    reads: ["contacts"],
    run: ({ pool, now }) => countRefreshes(pool, { now, from: now, until: now }, deadline),
  },
  {
    name: "countRefreshes of one",
    reads: ["contacts"],
    run: ({ pool, now, instanceIds: [only] }) =>
      countRefreshes(pool, { now, from: now, until: now }, { ...deadline, only }),
  },
  {
    name: "findReleasableRuns",
    reads: ["resync_runs"],
    async run({ pool, now }) {
      expect(await findReleasableRuns(pool, now)).toHaveLength(instanceCount);
    },
  },
  {
    name: "releaseRefreshes",
    reads: ["contacts", "resync_runs"],
    async run({ pool, now, besides }) {
      for (let round = 0; round < timesPrepared; round += 1) {
        const at = new Date(now.getTime() + round * 60_000);
        const runs = await findReleasableRuns(besides, new Date(at.getTime() + releaseLeadMs));
        for (const run of runs) await releaseOnce(pool, run, at);
      }
    },
  },
  {
    name: "releaseRefreshes of a run that is over",
    reads: ["contacts", "resync_runs"],
    async run({ pool, now, besides, instanceIds: [instanceId] }) {
      const { rows } = await besides.query<{ id: number }>(
        `update avatars.resync_runs set ends_at = $2, next_release_at = $2 where instance_id = $1 and ended_at is null
         returning id::int as id`,
        [instanceId, now],
      );
      expect(await releaseOnce(pool, rows[0]!.id, now)).toMatchObject({ endedBy: "window-over" });
    },
  },
  {
    name: "openTrickles",
    reads: ["resync_runs"],
    run: ({ pool, now }) => openTrickles(pool, now, 0.3),
  },
  {
    name: "openManualResync of what is due",
    reads: ["contacts", "resync_runs"],
    run: ({ pool, now, instanceIds: [instanceId] }) =>
      openManualResync(pool, {
        instanceId: instanceId!,
        filter: undefined,
        mostContacts: 10,
        now,
        isInWindow: true,
      }),
  },
  {
    name: "findLatestRuns",
    reads: ["contacts", "resync_runs"],
    async run({ pool }) {
      expect((await findLatestRuns(pool)).size).toBe(instanceCount);
    },
  },
  { name: "findLatestNight", reads: ["resync_nights"], run: ({ pool }) => findLatestNight(pool) },
  {
    name: "listResyncRuns",
    reads: ["contacts", "resync_runs"],
    async run({ pool }) {
      const filter = { instanceIds: undefined, kind: undefined };
      const { items } = await listResyncRuns(pool, filter, { after: undefined, limit: 50 });
      expect(items.length).toBeGreaterThan(instanceCount);
    },
  },

  // Instance runs.
  {
    name: "takeLease",
    reads: ["instances"],
    times: timesPrepared,
    run: (stage) => takeLease(stage),
  },
  {
    name: "renewLeases",
    reads: ["instances"],
    times: timesPrepared,
    async run({ ledger, held }) {
      const { leases } = await ledger.renewLeases(owner, [held!]);
      expect(leases).toMatchObject([{ kind: "renewed" }]);
    },
  },
  {
    name: "listLeases, and endDeadLeases",
    reads: ["instances"],
    times: timesPrepared,
    async run({ ledger }) {
      const seen = await ledger.listLeases("00000000-0000-4000-8000-000000000000");
      expect(seen.length).toBeGreaterThan(0);
      await ledger.endDeadLeases(seen.map((lease) => ({ ...lease, mark: "another" })));
    },
  },
  {
    name: "readDue",
    reads: ["contacts", "avatars", "lookups_aside"],
    times: timesPrepared,
    async run(stage) {
      const [instanceId] = stage.instanceIds;
      const requests = priorities.flatMap((priority) =>
        [false, true].map((isTurned) => ({
          instanceId: instanceId!,
          priority,
          isTurned,
          after: stage.places.get(`${priority} ${isTurned}`) ?? { by: -1, contactId: 0 },
          limit: 6,
        })),
      );
      for (const [at, contacts] of (await stage.ledger.readDue(requests)).entries()) {
        const { priority, isTurned } = requests[at]!;
        stage.asked.push(...contacts);
        const last = contacts.at(-1);
        if (last) stage.places.set(`${priority} ${isTurned}`, last.place);
      }
    },
  },
  {
    name: "noteArrivals, readArrivals and removeOldArrivals",
    reads: ["arrivals"],
    times: timesPrepared,
    async run({ ledger, pool, instanceIds }) {
      const { horizon } = await ledger.readArrivals(undefined);
      await ledger.noteArrivals(instanceIds);
      expect((await ledger.readArrivals(horizon)).arrivals.length).toBeGreaterThanOrEqual(instanceCount);
      await removeOldArrivals(pool);
    },
  },
  {
    name: "putOff",
    reads: ["contacts"],
    run: ({ ledger, asked, held }) =>
      ledger.putOff({ contactId: asked.shift()!.contactId, epoch: held!.epoch }, "no answer"),
  },
  {
    name: "saveLookups",
    reads: ["contacts", "avatars", "resync_runs"],
    times: timesPrepared,
    async run(stage) {
      const contacts = stage.asked.splice(0, 4);
      expect(contacts).toHaveLength(4);
      const refresh = { at: new Date(stage.now.getTime() + dayMs), step: 18 };
      const records = contacts.map(({ contactId }) =>
        toRecord(contactId, stage.held!.epoch, Date.now(), present("/new.jpg")),
      );
      await stage.ledger.saveLookups(records.map((record) => ({ ...record, refresh })));
    },
  },
  {
    name: "handOver",
    reads: ["contacts", "instances"],
    times: timesPrepared,
    async run(stage) {
      const inFlight = stage.asked.splice(0, 3).map(({ contactId }) => contactId);
      await stage.ledger.handOver(owner, {
        ...stage.held!,
        nextCallInMs: 0,
        recentAgesMs: [0],
        inFlight,
      });
      await takeLease(stage);
    },
  },
  {
    name: "holdInstance",
    reads: ["instances", "contacts", "erased_chats"],
    async run({ ledger, instanceIds, besides }) {
      const instanceId = instanceIds.at(-1)!;
      const { rows } = await besides.query<{ chat_id: ChatId }>(
        "select chat_id from avatars.contacts where instance_id = $1 and due_at < now() and in_flight_epoch is null limit 3",
        [instanceId],
      );
      const allowedChatIds = rows.map((row) => row.chat_id);
      expect(await ledger.holdInstance(instanceId, { ...trouble, allowedChatIds }, Date.now())).toBeDefined();
    },
  },
  {
    name: "readHeld of a hold that leaves some chats",
    reads: ["contacts", "lookups_aside"],
    times: timesPrepared,
    async run({ ledger, instanceIds, besides }) {
      const instanceId = instanceIds.at(-1)!;
      const { rows } = await besides.query<{ chat_ids: ChatId[] }>(
        "select allowed_chat_ids as chat_ids from avatars.instances where id = $1",
        [instanceId],
      );
      expect(await ledger.readHeld(instanceId, { chatIds: rows[0]!.chat_ids }, [], 6)).not.toEqual([]);
    },
  },
  ...(["user", "group"] as const).flatMap((kind) =>
    [true, false].map((isOf) => ({
      name: `readHeld: ${isOf ? "" : "no "}${kind}`,
      reads: ["contacts", "lookups_aside"],
      times: timesPrepared,
      run: ({ ledger, instanceIds }: Stage) => ledger.readHeld(instanceIds.at(-1)!, { kind, isOf }, [], 10),
    })),
  ),
  {
    name: "prolongHold",
    reads: ["instances"],
    run: ({ ledger, instanceIds }) =>
      ledger.prolongHold(instanceIds.at(-1)!, { probeBaseMs: 1, probeMaxMs: 1 }, Date.now()),
  },
  {
    name: "endHold",
    reads: ["instances", "contacts"],
    async run({ ledger, instanceIds, besides }) {
      const instanceId = instanceIds.at(-1)!;
      const { rows } = await besides.query<{ chat_id: ChatId }>(
        "select chat_id from avatars.contacts where instance_id = $1 and due_at is null limit 1",
        [instanceId],
      );
      expect(await ledger.endHold(instanceId, rows[0]!.chat_id, Date.now() + dayMs)).toBe("ended");
    },
  },
  {
    name: "throttle",
    reads: ["instances", "resync_runs"],
    run: ({ ledger, instanceIds }) =>
      ledger.throttle(
        instanceIds.at(-1)!,
        { by: "provider", retryAfterMs: undefined, before: { taken: 5, refused: 4, isAnswering: true } },
        Date.now(),
      ),
  },
  {
    name: "reserveStateCall",
    reads: ["instances"],
    run: ({ ledger, instanceIds }) => ledger.reserveStateCall(instanceIds.at(-1)!),
  },
  {
    name: "noteState",
    reads: ["instances"],
    run: ({ ledger, instanceIds }) => ledger.noteState(instanceIds.at(-1)!, "authorized"),
  },

  // What each process does every few seconds.
  { name: "findDueInstances", reads: ["contacts"], run: ({ pool }) => findDueInstances(pool) },
  { name: "findStalledInstances", reads: ["contacts"], run: ({ pool }) => findStalledInstances(pool) },
  { name: "findHeldInstances", reads: ["contacts"], run: ({ pool }) => findHeldInstances(pool) },
  {
    name: "readGauges",
    reads: ["contacts", "worker_activity"],
    run: ({ pool }) => readGauges(pool, 10, 5_000),
  },
  {
    name: "readOverview and readPace",
    reads: ["instances", "contacts", "worker_activity"],
    times: timesPrepared,
    async run({ pool }) {
      expect(await readOverview(pool, 10, 5_000)).toHaveLength(instanceCount);
      await readPace(pool);
    },
  },
  {
    name: "findConsoleSessions",
    reads: ["console_sessions", "api_keys"],
    times: timesPrepared,
    async run(stage) {
      const { rows } = await stage.besides.query<{ token_hash: Buffer }>(
        "select token_hash from avatars.console_sessions where kind = 'session' limit 2",
      );
      const hashes = rows.map((row) => row.token_hash);
      expect(await findConsoleSessions(explained, hashes)).toHaveLength(2);
    },
  },
  { name: "countBacklog", reads: ["contacts"], run: ({ pool }) => countBacklog(pool, 5_000) },
  {
    name: "writeActivity",
    reads: ["worker_activity"],
    times: timesPrepared,
    run: ({ pool, instanceIds }) =>
      writeActivity(
        pool,
        owner,
        instanceIds.map((instanceId) => ({
          instanceId,
          inFlight: 1,
          callsPerSecond: 1,
          recentCalls: 1,
          recentThrottled: 0,
          latencyMs: 80,
        })),
      ),
  },
  {
    name: "createBatchFinisher",
    reads: ["contacts", "batches", "batch_members"],
    run: ({ pool }) => createBatchFinisher(pool)(),
  },
  {
    name: "createErasureRemover",
    reads: ["erased_chats"],
    run: (stage) => remove(stage, createErasureRemover()),
  },
  {
    name: "createChangeRemover",
    reads: ["avatar_changes"],
    run: (stage) => remove(stage, createChangeRemover(300 * dayMs)),
  },
  {
    name: "createBatchRemover",
    reads: ["batches", "batch_members"],
    run: (stage) => remove(stage, createBatchRemover(100 * dayMs)),
  },
  { name: "deleteOldRecords", reads: ["idempotency_keys"], run: ({ pool }) => deleteOldRecords(pool) },

  // The source query.
  {
    name: "openSourceSync",
    reads: ["contacts"],
    async run(stage) {
      const instanceId = stage.instanceIds[1]!;
      const listed = await chatIdsOf(stage, instanceId, contactCount);
      const kept = listed.slice(10).map((chatId) => ({ chatId, externalRef: undefined }));
      const added = Array.from({ length: 100 }, (_, n) => ({
        chatId: `${79_900_000_000 + (stage.now.getTime() % 1_000_000) * 100 + n}@c.us` as ChatId,
        externalRef: "new",
      }));
      await withClient(stage.pool, async (client) => {
        const sync = await openSourceSync(client, instanceId, stage.now);
        const all = [...kept, ...added];
        const chunk = Math.ceil(all.length / timesPrepared);
        for (let at = 0; at < all.length; at += chunk) await sync.add(all.slice(at, at + chunk));
        expect(await sync.stopGone()).toBe(10);
      });
    },
  },

  // The API, and what goes through it.
  {
    name: "acceptContacts",
    reads: ["contacts", "batches", "batch_members"],
    times: timesPrepared,
    async run(stage) {
      const instanceId = stage.instanceIds[1]!;
      await acceptContacts(stage.pool, instanceId, await chatIdsOf(stage, instanceId, 20));
    },
  },
  {
    name: "refreshContact, and findAnswered",
    reads: ["contacts", "batches", "batch_members"],
    times: timesPrepared,
    async run(stage) {
      const instanceId = stage.instanceIds[1]!;
      const [chatId] = await chatIdsOf(stage, instanceId, 1);
      const ticket = await refreshContact(stage.pool, "key", instanceId, chatId!);
      await findAnswered(stage.pool, [ticket!]);
    },
  },
  {
    name: "findContacts",
    reads: ["contacts", "avatars"],
    times: timesPrepared,
    async run(stage) {
      const instanceId = stage.instanceIds[1]!;
      const chatIds = await chatIdsOf(stage, instanceId, 100);
      expect(await findContacts(stage.pool, instanceId, chatIds)).toHaveLength(100);
    },
  },
  {
    name: "listContacts, of any status and of a rare one, and countContacts",
    reads: ["contact_statuses", "contacts", "avatars"],
    times: timesPrepared,
    async run({ pool, besides, instanceIds: ids }) {
      await besides.query("update avatars.contacts set status = 'invalid' where id in (7, 30000)");
      for (const [which, statuses, found] of [
        [undefined, undefined, 51],
        [ids.slice(2), ["hidden"], 51],
        [undefined, ["invalid"], 2],
      ] as const) {
        const first = await listContacts(
          pool,
          { instanceIds: which, statuses },
          { after: undefined, limit: 50 },
        );
        const { next } = first;
        const rest =
          next && (await listContacts(pool, { instanceIds: which, statuses }, { after: next, limit: 1 }));
        expect(first.items.length + (rest ? rest.items.length : 0)).toBe(found);
      }
      expect(await countContacts(pool, undefined)).toMatchObject({ invalid: 2 });
    },
  },
  {
    name: "listChangedContacts, findContactDetail and findImageOfContact",
    reads: ["contacts", "avatars", "avatar_changes"],
    async run({ pool, besides, instanceIds: ids }) {
      await besides.query("update avatars.avatars set changes = 1 where contact_id % 7 = 0");
      const since = new Date(0);
      for (const filter of [
        { instanceIds: undefined, statuses: undefined },
        { instanceIds: ids.slice(2), statuses: ["invalid"] },
      ] as const) {
        const { next } = await listChangedContacts(pool, since, filter, { after: undefined, limit: 50 });
        expect(next).toBeDefined();
        await listChangedContacts(pool, since, filter, { after: next, limit: 50 });
      }
      expect(await findContactDetail(pool, 7)).toMatchObject({ contactId: 7 });
      expect(await findImageOfContact(pool, 7, Buffer.alloc(32))).toEqual({ kind: "never" });
    },
  },
  {
    name: "listBatches",
    reads: ["batches"],
    run: ({ pool }) =>
      listBatches(
        pool,
        { instanceIds: undefined, states: undefined, withRefreshes: false },
        { after: undefined, limit: 50 },
      ),
  },
  {
    name: "listBatchItems",
    reads: ["contacts", "batch_members", "avatars"],
    async run(stage) {
      const batchId = await someBatch(stage, "label = 'large'");
      await listBatchItems(stage.pool, batchId, undefined, { after: undefined, limit: 100 });
    },
  },
  {
    name: "createChangeReader",
    reads: ["avatar_changes", "contacts"],
    async run({ pool, instanceIds: [instanceId] }) {
      await createChangeReader(pool)([instanceId!], 0, 100);
    },
  },
  {
    name: "readFeed",
    reads: ["avatar_changes", "contacts", "avatars"],
    times: timesPrepared,
    run: ({ pool }) => readFeed(pool, 0, Number.MAX_SAFE_INTEGER, 200),
  },
  {
    name: "findFeedItems",
    reads: ["avatar_changes", "contacts", "avatars"],
    times: timesPrepared,
    run: ({ pool }) => findFeedItems(pool, [1_001, 1_002, 20_000]),
  },
  {
    name: "list and find endpoints, with how far behind they are",
    reads: ["webhook_endpoints", "webhook_retries", "avatar_changes", "webhook_events"],
    times: timesPrepared,
    async run({ pool }) {
      const store = createEndpointStore(pool);
      const [first] = await store.list();
      expect(await store.find(first!.id)).toBeDefined();
    },
  },
  {
    name: "takeEndpoints",
    reads: ["webhook_endpoints"],
    times: timesPrepared,
    async run({ pool }) {
      expect(await takeEndpoints(pool, owner, () => "secret")).toHaveLength(endpointCount);
    },
  },
  {
    name: "claimRetries",
    reads: ["webhook_retries", "avatar_changes"],
    times: timesPrepared,
    async run({ pool }) {
      const rooms = new Map([["endpoint0001", 3]]);
      const rows = await claimRetries(pool, rooms, 2);
      expect(rows.filter(({ endpointId }) => endpointId !== undefined)).toHaveLength(3);
    },
  },
  {
    name: "settleTries",
    reads: ["webhook_endpoints", "webhook_retries", "webhook_deliveries", "contacts"],
    times: timesPrepared,
    async run(stage) {
      const endpoint = (await takeEndpoints(stage.besides, owner, () => "secret"))[0]!;
      const { rows } = await stage.besides.query<{ id: string; feed_id: string; contact_id: string }>(
        "select id, feed_id, contact_id from avatars.webhook_retries where contact_id is not null order by id limit 3",
      );
      const [again, over, taken] = rows.map((row) => ({
        id: Number(row.id),
        feedId: Number(row.feed_id),
        contactId: Number(row.contact_id),
      }));
      const moved = await settleTries(stage.pool, owner, {
        endpoints: [
          {
            ...endpoint,
            lastSuccessAt: stage.now,
            failingSince: undefined,
            headNextAt: undefined,
            disable: undefined,
          },
        ],
        failed: [{ endpointId: endpoint.id, ...again!, nextTryAt: stage.now }],
        taken: [{ endpointId: endpoint.id, ...taken! }],
        retries: [{ ...over!, nextTryAt: undefined }],
        deliveries: [
          {
            endpointId: endpoint.id,
            feedId: again!.feedId,
            contactId: again!.contactId,
            type: "avatar.changed",
            kind: "retry",
            tries: 2,
            at: stage.now,
            tookMs: 1,
            status: 500,
            error: "refused",
            answer: undefined,
          },
        ],
      });
      expect(moved).toEqual(new Set([endpoint.id]));
    },
  },
  {
    name: "listDeliveries",
    reads: ["webhook_deliveries"],
    times: timesPrepared,
    async run({ pool }) {
      const filter = { before: undefined, limit: 20, failedOnly: false };
      expect((await listDeliveries(pool, "endpoint0001", filter)).length).toBeGreaterThan(0);
    },
  },
  {
    name: "trimWebhooks",
    reads: ["webhook_deliveries", "webhook_retries", "webhook_events", "contacts"],
    // Now and then, and they are few: what has failed, and the holds and ends of batches of some weeks.
    readsWhole: ["webhook_retries", "webhook_events"],
    run: ({ pool }) => trimWebhooks(pool),
  },
  {
    name: "listContactChanges",
    reads: ["avatar_changes", "contacts"],
    async run(stage) {
      const [chatId] = await chatIdsOf(stage, stage.instanceIds[1]!, 1);
      const page = { after: undefined, limit: 50 };
      await listContactChanges(stage.pool, stage.instanceIds[1]!, chatId!, page);
    },
  },
  {
    name: "acceptSignals of known and of new chats",
    reads: ["contacts", "erased_chats"],
    async run(stage) {
      const instanceId = stage.instanceIds[1]!;
      const known = await chatIdsOf(stage, instanceId, 3);
      const chats = [...known, `79${stage.now.getTime()}@c.us` as ChatId];
      const outcomes = await acceptSignals(stage.pool, (chatId) => chatId, instanceId, chats, 86_400_000);
      expect([...outcomes.values()]).toHaveLength(4);
    },
  },
  {
    name: "cancelBatch",
    reads: ["contacts", "batches", "batch_members"],
    async run(stage) {
      await cancelBatch(
        stage.pool,
        await someBatch(stage, "label is null and cancelled_at is null and source = 'test'"),
      );
    },
  },
  {
    name: "retryBatch",
    reads: ["contacts", "batches", "batch_members"],
    async run(stage) {
      await retryBatch(
        stage.pool,
        await someBatch(stage, "label = 'small' and finished_at > now() - interval '50 days'"),
      );
    },
  },
];

let database: TestDatabase;
let explained: Explained;
/** As the worker's own for leases and reads. */
let explainedByIndex: Explained;
let instanceIds: InstanceId[];

beforeAll(async () => {
  database = await openTestDatabase();
  instanceIds = await Promise.all(Array.from({ length: instanceCount }, async () => addInstance(database)));
  await fillTables(database.pool, instanceIds);
  explained = await openExplained(database, { maxConnections: 4 });
  explainedByIndex = await openExplained(database, { maxConnections: 4, readsByIndex: true });
});
afterAll(async () => {
  await explained?.close();
  await explainedByIndex?.close();
  await database?.close();
});

async function fillTables(pool: pg.Pool, instanceIds: readonly InstanceId[]): Promise<void> {
  for (const table of [...largeTables, "batches", "resync_runs", "instances", "idempotency_keys"])
    await pool.query(`alter table avatars.${table} set (autovacuum_enabled = off)`);
  // The second instance has 2,000, the others 12,000 each. One in twenty waits; of the others a fifth is due by policy.
  await pool.query(
    `insert into avatars.contacts
       (instance_id, chat_id, status, checked_at, refresh_at, refresh_step, is_listed, due_at, turn, wanted_at)
     select ($1::text[])[case when n % 25 = 0 then 2 when n / 20 % 4 = 0 then 1 else 2 + n / 20 % 4 end], 79000000000 + n || '@c.us', case when n % 10 < 8 then 'present' else 'hidden' end,
       now() - interval '20 days', case when n % 20 > 0 then now() + (n % 100 - 20) * interval '1 hour' end, n % 23 - 1, true,
       case when n % 20 = 0 then now() - interval '1 hour' end, case when n % 40 = 0 then n end,
       case when n % 40 = 0 then now() end
     from generate_series(0, $2::int - 1) n`,
    [instanceIds, contactCount],
  );
  await pool.query(
    `insert into avatars.avatars (contact_id, url, version, changed_at, seen_at)
     select id, 'https://pps.whatsapp.net/old.jpg', '/old.jpg', checked_at, checked_at
     from avatars.contacts where status = 'present'`,
  );
  await pool.query("update avatars.avatar_changes set seen_at = now() - interval '1 year' where id % 3 = 0");
  await pool.query(
    `with keys as (
       insert into avatars.api_keys (id, scopes, secret_hmac)
       select 'key' || n, '{read}', decode(md5(n::text), 'hex') from generate_series(1, 500) n returning id)
     insert into avatars.console_sessions (token_hash, kind, api_key_id, expires_at)
     select sha256((id || n)::bytea), 'session', id, now() + interval '1 hour' from keys, generate_series(1, 10) n`,
  );
  // Small ones that are over, the older of them for long, and a large one that is under way.
  await pool.query(
    `insert into avatars.batches
       (instance_id, source, label, priority, requested_at, fresh_after, completed_intake_at, finished_at, accepted)
     select ($1::text[])[1 + n % $2::int], 'api', case when n = 0 then 'large' else 'small' end, 1, r.at, r.at, r.at,
       case when n > 0 then r.at + interval '1 hour' end, case when n > 0 then 20 else 5000 end
     from generate_series(0, 500) n
     cross join lateral (select now() - n * interval '8 hours' as at) r`,
    [instanceIds, instanceCount],
  );
  await pool.query(
    `insert into avatars.batch_members (batch_id, contact_id, position)
     select b.id, c.id, c.place from avatars.batches b
     cross join lateral (
       select id, row_number() over (order by id) as place from avatars.contacts
       where instance_id = b.instance_id and id % 7 <> 0 order by id limit b.accepted
     ) c`,
  );
  await pool.query(
    `with nights as (
       insert into avatars.resync_nights (slot_at, prepared_at)
       select date_trunc('second', now()) - n * interval '1 day', now() from generate_series(1, 30) n returning slot_at
     )
     insert into avatars.resync_runs (instance_id, kind, night_at, opened_at, ended_at, ended_by)
     select i, 'night', slot_at, slot_at, now(), 'done' from nights cross join unnest($1::text[]) i`,
    [instanceIds],
  );
  await fillWebhooks(pool);
  await pool.query(
    `insert into avatars.resync_runs (instance_id, kind) select i, 'trickle' from unnest($1::text[]) i`,
    [instanceIds],
  );
}

/** Each endpoint has a retry for one in ten contacts, and as many deliveries as are kept. */
async function fillWebhooks(pool: pg.Pool): Promise<void> {
  for (const table of ["webhook_endpoints", "webhook_retries", "webhook_deliveries", "webhook_events"])
    await pool.query(`alter table avatars.${table} set (autovacuum_enabled = off)`);
  await pool.query(
    `insert into avatars.webhook_endpoints (id, url, types, sealed_secret, cursor)
     select 'endpoint000' || n, 'https://crm.example', '{avatar.changed}', 'sealed', 0 from generate_series(1, $1::int) n`,
    [endpointCount],
  );
  await pool.query(
    `insert into avatars.webhook_retries (endpoint_id, feed_id, contact_id, tries, next_try_at)
     select e.id, h.id, h.contact_id, 1, now() - interval '1 s'
     from avatars.webhook_endpoints e cross join avatars.avatar_changes h where h.contact_id % 10 = 1`,
  );
  await pool.query(
    `insert into avatars.webhook_deliveries (endpoint_id, feed_id, contact_id, type, kind, tries, at, took_ms, status)
     select e.id, h.id, h.contact_id, 'avatar.changed', 'event', 1, now(), 1, 204
     from avatars.webhook_endpoints e cross join (select * from avatars.avatar_changes order by id limit 300) h`,
  );
  await pool.query(
    `insert into avatars.webhook_events (id, type, at, endpoint_id, reason)
     select nextval('avatars.avatar_changes_id_seq'), 'endpoint.disabled', now() - n * interval '9 min', 'gone', 'gone'
     from generate_series(1, 5000) n`,
  );
}

describe.each(["no statistics", "statistics"])("with %s", (which) => {
  let stage: Stage;
  beforeAll(async () => {
    const { pool } = database;
    if (which === "statistics") await pool.query("vacuum (analyze)");
    await pool.query(
      `insert into avatars.idempotency_keys (api_key_id, key, kind, batch_id, created_at)
       select 'key', $1 || n, 'cut-off', gen_random_uuid(), now() - n * interval '1 hour' from generate_series(1, 1000) n`,
      [which],
    );
    await pool.query(
      `insert into avatars.erased_chats (instance_id, chat_hash, erased_at)
       select $1, $2 || n, now() - n * interval '10 min' from generate_series(1, 10000) n`,
      [instanceIds.at(-1), which],
    );
    // Among what is old enough to be removed, some for each time.
    await pool.query(
      `update avatars.avatar_changes set seen_at = now() - interval '1 year'
       where id in (select id from avatars.avatar_changes order by id limit 1000)`,
    );
    await pool.query(
      `update avatars.batches set finished_at = now() - interval '200 days'
       where id in (select id from avatars.batches where label = 'small' order by finished_at limit 20)`,
    );
    const { rows } = await pool.query<{ now: Date }>(
      "select date_trunc('second', clock_timestamp()) + interval '1 s' as now",
    );
    stage = {
      pool: explained.pool,
      ledger: createRunLedger(explained, paceSettings, explainedByIndex),
      besides: pool,
      instanceIds,
      now: rows[0]!.now,
      held: undefined,
      asked: [],
      places: new Map(),
    };
  });

  // In this order: each finds what the ones before it have left.
  test.each(calls)("$name reads no large table as a whole", async (call) => {
    const { reads, readsWhole = [], times = 1, run } = call;
    const pools = [explained, explainedByIndex];
    for (const { plans } of pools) plans.length = 0;
    for (let n = 0; n < times; n += 1) await run(stage);
    const plans = pools.flatMap((pool) => pool.plans);
    expect(plans.length).toBeGreaterThanOrEqual(times);
    const nodes = plans.flatMap((plan) => [...nodesOf(plan.Plan)]);
    expect(nodes.map((node) => node["Relation Name"])).toEqual(expect.arrayContaining([...reads]));
    const large = new Set(largeTables.filter((table) => !readsWhole.includes(table)));
    const scanning = plans.filter((plan) =>
      [...nodesOf(plan.Plan)].some(
        (node) => node["Node Type"] === "Seq Scan" && large.has(node["Relation Name"] ?? ""),
      ),
    );
    expect(scanning.map((plan) => plan["Query Text"])).toEqual([]);
  });
});
