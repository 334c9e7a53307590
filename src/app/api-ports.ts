import type { InstanceId } from "../domain/instance-id.ts";
import { judgeApiChange } from "../domain/judge-credentials.ts";
import { forgetInQueue, forgetInstanceInQueue } from "./subjects/forget-in-queue.ts";
import { createAnswerPoller } from "../http/answers/answer-poller.ts";
import type { ApiPorts, BatchPorts, ContactPorts, InstancePorts } from "../http/context/ports.ts";
import { createBatchWatch } from "../http/answers/watch-batches.ts";
import { parseContactId } from "../intake/ids/contact-id.ts";
import { importRecords } from "../intake/import-records.ts";
import { readContacts } from "../intake/read-contacts.ts";
import { createSecretHmac } from "../lib/secrets/api-token.ts";
import { createChatHash } from "../lib/secrets/chat-hash.ts";
import { settleWithin } from "../lib/deadline.ts";
import { createFairLimit, type FairLimit } from "../lib/fair-limit.ts";
import { UserError } from "../lib/errors.ts";
import { startEvery } from "../lib/start-every.ts";
import { createSharedReads } from "../lib/shared-reads.ts";
import type { Base } from "./base.ts";
import { createJudgePorts } from "./tokens.ts";
import type { ResyncForecast } from "../domain/resync/plan-resync.ts";
import { createResyncs } from "./resyncs.ts";
import { encodeResults } from "../results/encode-results.ts";
import { acceptRequest } from "../store/accept/accept-request.ts";
import { findApiKeys, noteApiKeyUse } from "../store/api-keys/api-keys.ts";
import { estimateBatch } from "../store/batches/batch-eta.ts";
import { cancelBatch } from "../store/batches/cancel-batch.ts";
import { changeInstance } from "../store/instances/change-instance.ts";
import { isTransient, openDatabase, type Database } from "../store/postgres/database.ts";
import { eraseContact } from "../store/contacts/erase-contact.ts";
import type { Estimate } from "../store/batches/estimate-within.ts";
import { findAnswered } from "../store/batches/find-answered.ts";
import { createFindBatch } from "../store/batches/find-batch.ts";
import { findBatchSummary } from "../store/batches/find-batch-summary.ts";
import { findContacts } from "../store/contacts/find-contacts.ts";
import { deleteOldRecords } from "../store/accept/idempotency-records.ts";
import * as instanceStore from "../store/instances/instances.ts";
import { removeInstance, removeEmptyInstance } from "../store/instances/remove-instance.ts";
import { setPaused } from "../store/instances/pause-instance.ts";
import { listBatchItems } from "../store/batches/list-batch-items.ts";
import { listBatches } from "../store/batches/list-batches.ts";
import { listContactChanges } from "../store/changes/list-contact-changes.ts";
import { createChangeReader } from "../store/changes/read-changes.ts";
import { readResults } from "../store/batches/read-results.ts";
import { receiveStream } from "../store/accept/receive-stream.ts";
import { refreshContact } from "../store/accept/refresh-contact.ts";
import { createRequestLocks } from "../store/accept/request-locks.ts";
import { resumeInstance } from "../store/instances/resume-instance.ts";
import { retryBatch } from "../store/batches/retry-batch.ts";
import { TryAgainError } from "../store/postgres/try-again-error.ts";
import type { ApiLinks } from "./api-links.ts";
import { findMissing } from "./readiness.ts";

/** Somebody waits: what takes longer is told to come again. What other programs may hold is waited for briefly (brief-locks.ts). */
const quick = { connections: 10, connectMs: 3_000, statementMs: 10_000, lockMs: 10_000 };
/** Streams, downloads, and what goes through a batch step by step. */
const lasting = { connections: 20, connectMs: 10_000, statementMs: 30_000, lockMs: 1_000 };
/**
 * Who writes to contacts may have to wait for another transaction: of one instance on few of the connections, and of all
 * together not on all of them.
 */
const writing = { perKey: 3, all: quick.connections - 2, mostWaiting: 60, waitMs: quick.connectMs };
/** The same for what goes through a batch. */
const changing = { perKey: 2, all: 8, mostWaiting: 20, waitMs: lasting.connectMs };
/** Beyond this a request would wait longer for its connection than {@link quick} allows. */
const maxWaiting = 200;
/** A removal that takes longer goes on behind its answer. */
const removalDeadlineMs = 10_000;
const cleaningIntervalMs = 3_600_000;
const useIntervalMs = 60_000;

/** Connects the API to the ledger, with connections of its own: who waits for an answer does not wait for imports. */
export async function openApiPorts(base: Base, links: ApiLinks): Promise<ApiPorts> {
  const open = async (name: string, { connections, ...deadlines }: typeof quick) => {
    const database = await openDatabase({
      url: base.databaseUrl,
      maxConnections: connections,
      deadlines,
      onConnectionLost: (error) => base.events.connectionLost(error),
    });
    base.closer.add(name, () => database.close());
    return database;
  };
  const waited = await open("API", quick);
  const slow = await open("API streams", lasting);
  const stopCleaning = startEvery({
    run: () => deleteOldRecords(slow.pool),
    intervalMs: cleaningIntervalMs,
    random: Math.random,
    onError: (error) => base.events.ledgerFailed({ where: "forget idempotency keys" }, error),
  });
  base.closer.add("cleaning", () => settleWithin(stopCleaning(), 2_000));
  const hmac = createSecretHmac(base.secretKey());
  const writes = createFairLimit(writing);
  const notedUntil = new Map<string, number>();

  return {
    keys: {
      findMany: (ids) => findApiKeys(waited, ids),
      hmac,
      // Only for people to read: a request does not wait for it, nor fail with it.
      noteUse({ id }) {
        const now = performance.now();
        if (now < (notedUntil.get(id) ?? 0)) return;
        notedUntil.set(id, now + useIntervalMs);
        noteApiKeyUse(waited, id).catch(() => undefined);
      },
    },
    batches: createBatchPorts(base, waited, slow, writes, links),
    contacts: createContactPorts(base, waited, writes, links),
    changes: { read: createChangeReader(waited.pool) },
    instances: createInstancePorts(base, waited, slow, links),
    resync: createResyncPorts(base, waited, slow),
    findMissing: () => findMissing(waited, links),
    scrape: links.metrics.scrape,
    isTransient,
    isOverloaded: () => waited.pool.waitingCount > maxWaiting,
    parseContactId: (text) => parseContactId(text, undefined),
    formatResults: encodeResults,
  };
}

function createBatchPorts(
  base: Base,
  waited: Database,
  slow: Database,
  writes: FairLimit,
  { wake }: ApiLinks,
): BatchPorts {
  const { requestsPerSecond: defaultRate } = base.config;
  const estimate: Estimate = (client, batchId) => estimateBatch(client, batchId, defaultRate);
  const find = createFindBatch(slow.pool, { defaultRate, now: performance.now.bind(performance) });
  const changes = createFairLimit(changing);
  const cancel = (batchId: string) => cancelBatch(slow.pool, batchId);
  const receivePorts = {
    locks: createRequestLocks(slow.pool),
    estimate,
    cancel,
    committed: ({ instanceId }: { readonly instanceId: InstanceId }) => wake(instanceId),
    readInto: readContactsInto,
  };
  return {
    async accept(asker, wish, contacts, rejected) {
      const accepted = await writes.run(wish.instanceId, async () =>
        acceptRequest(waited.pool, estimate, asker, wish, contacts, rejected),
      );
      if (accepted.kind === "accepted") wake(wish.instanceId);
      return accepted;
    },
    receive: (asker, wish, stream) => receiveStream(slow.pool, receivePorts, asker, wish, stream),
    list: (filter, page) => listBatches(waited.pool, filter, page),
    findSummary: (batchId) => findBatchSummary(waited.pool, batchId),
    find,
    listItems: (batchId, statuses, page) => listBatchItems(waited.pool, batchId, statuses, page),
    readResults: (batchId, statuses) => readResults(slow.pool, { batchId, statuses }),
    watch: createBatchWatch({ find }),
    async cancel(batchId) {
      const batch = await findBatchSummary(waited.pool, batchId);
      return batch ? changes.run(batch.instanceId, async () => cancel(batchId)) : 0;
    },
    async retry(batchId) {
      const batch = await findBatchSummary(waited.pool, batchId);
      if (batch === undefined) return 0;
      const asked = await changes.run(batch.instanceId, async () => retryBatch(slow.pool, batchId));
      wake(batch.instanceId);
      return asked;
    },
  };
}

/** Counting takes seconds: one part in ten of the time, and whoever asks meanwhile gets what was counted last. */
const planShare = 10;
const planDeadlineMs = 10_000;

function createResyncPorts(base: Base, waited: Database, slow: Database): ApiPorts["resync"] {
  const plans = createSharedReads<ResyncForecast>({
    timeShare: planShare,
    maxKeys: 1,
    now: () => performance.now(),
  });
  const { plan } = createResyncs(base, slow);
  return {
    async plan() {
      const planned = plans("all", async () => plan());
      // What takes longer goes on, for whoever comes again.
      if (!(await settleWithin(planned, planDeadlineMs))) throw new TryAgainError("planning takes its time");
      return planned;
    },
    listRuns: createResyncs(base, waited).listRuns,
  };
}

/** The intake of files, for a stream. */
const readContactsInto: Parameters<typeof receiveStream>[1]["readInto"] = (stream, { acceptChunk, reject }) =>
  importRecords(
    readContacts(stream.source, {
      signal: stream.signal,
      ...(stream.column !== undefined && { column: stream.column }),
      ...(stream.refColumn !== undefined && { refColumn: stream.refColumn }),
      ...(stream.defaultCountry !== undefined && { defaultCountry: stream.defaultCountry }),
    }),
    { strict: false, signal: stream.signal },
    { reject, acceptChunk },
  );

function createContactPorts(
  base: Base,
  { pool }: Database,
  writes: FairLimit,
  { wake, getQueues }: ApiLinks,
): ContactPorts {
  const hashErased = createChatHash(base.secretKey(), "erased chats");
  const poller = createAnswerPoller({ findAnswered: (tickets) => findAnswered(pool, tickets) });
  return {
    find: async (instanceId, chatId) => (await findContacts(pool, instanceId, [chatId]))[0],
    findMany: (instanceId, chatIds) => findContacts(pool, instanceId, chatIds),
    listChanges: (instanceId, chatId, page) => listContactChanges(pool, instanceId, chatId, page),
    async refresh(apiKeyId, instanceId, chatId) {
      const ticket = await writes.run(instanceId, async () =>
        refreshContact(pool, apiKeyId, instanceId, chatId),
      );
      if (ticket) wake(instanceId);
      return ticket;
    },
    whenAnswered: poller.whenAnswered,
    async erase(instanceId, chatId) {
      // First, or one that waits would bring the contact back.
      const isForgotten = await forgetInQueue(getQueues, instanceId, chatId);
      const wasFound = await writes.run(instanceId, async () =>
        eraseContact(pool, hashErased, instanceId, chatId),
      );
      if (isForgotten) return wasFound;
      throw new UserError(
        "queue-unreachable",
        "the contact is erased from Postgres, but the queue does not answer, whose requests may still name it: erase it again",
        { retryable: true },
      );
    },
  };
}

function createInstancePorts(
  base: Base,
  waited: Database,
  slow: Database,
  { wake, getQueues }: ApiLinks,
): InstancePorts {
  const { events } = base;
  const removals = new Map<InstanceId, Promise<unknown>>();
  const find = (id: InstanceId) => instanceStore.findInstance(waited, id);

  function startRemoval(id: InstanceId): Promise<unknown> {
    const removal = removeInstance(slow, id)
      .then(async () => forgetInstanceInQueue(getQueues, id))
      .finally(() => removals.delete(id));
    removals.set(id, removal);
    removal.catch((error: unknown) => events.ledgerFailed({ where: "remove instance" }, error));
    return removal;
  }

  return {
    list: () => instanceStore.listInstances(waited),
    find,
    async add({ token, ...instance }) {
      const { mayPointTo, seal } = createJudgePorts(base, instance.id);
      if (!mayPointTo(instance.apiUrl)) return "untrusted-host";
      const sealedToken = seal(token, instance.apiUrl);
      const isAdded = await instanceStore.addInstance(waited, { ...instance, sealedToken });
      return isAdded ? "added" : "known";
    },
    async change(id, { token, ...changes }) {
      const judgePorts = createJudgePorts(base, id);
      const changed = await changeInstance(waited, id, changes, (before) =>
        judgeApiChange(before, { apiUrl: changes.apiUrl, token }, judgePorts),
      );
      if (changed.kind === "changed" && changed.before.state === "held") wake(id);
      return changed;
    },
    async setPaused(id, paused) {
      const before = await (paused ? setPaused(waited, id, true) : resumeInstance(waited, id));
      if (before === undefined) return undefined;
      if (!paused) wake(id);
      return find(id);
    },
    async removeEmpty(id) {
      const isRemoved = await removeEmptyInstance(waited, id);
      if (isRemoved) await forgetInstanceInQueue(getQueues, id);
      return isRemoved;
    },
    remove: (id) => settleWithin(removals.get(id) ?? startRemoval(id), removalDeadlineMs),
  };
}
