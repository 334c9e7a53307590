import { sleep } from "../lib/deadline.ts";
import type { ClientOptions, Timing } from "./call-options.ts";
import type { Client, EnqueueOptions, NewBatchStream, PageOptions, Refreshed, Removed } from "./client.ts";
import { followChanges } from "./follow-changes.ts";
import { toIdempotencyHeader } from "./idempotency-header.ts";
import { joinSignals } from "./join-signals.ts";
import type { OperationId } from "./operations.ts";
import { toContactBody, toStreamBody } from "./outgoing-stream.ts";
import { readJson, readLines, readText } from "./read-answer.ts";
import { createSend, type Call } from "./send.ts";
import { watchBatch } from "./watch-batch.ts";
import type { AvatarChanges, BatchResult, Contact } from "./wire.ts";

export { ApiProblem, type ApiProblemCode, type RequestFault } from "./api-problem.ts";
export type { CallOptions, ClientOptions } from "./call-options.ts";
export type * from "./client.ts";
export type { ChangesOptions } from "./follow-changes.ts";
export type { ContactSource, StreamSource } from "./outgoing-stream.ts";
export type { FollowOptions } from "./watch-batch.ts";
export type * from "./wire.ts";

const streamTypes = { ndjson: "application/x-ndjson", csv: "text/csv", text: "text/plain" } as const;
const defaultWaitMs = 15_000;
/** Of a download, something comes within this time. */
const silenceMs = 60_000;

const systemTiming: Timing = { now: () => performance.now(), random: Math.random, sleep };

/**
 * A client of the HTTP API, for Node.js 20 and browsers. Makes no request by itself.
 * @param timing for tests
 * @throws TypeError for options that cannot be used
 */
export function createClient(options: ClientOptions, timing: Timing = systemTiming): Client {
  const send = createSend(options, timing);

  /** Sends, and reads JSON of the shape that the operation answers with. */
  async function ask<Shape>(
    operation: OperationId,
    call: Omit<Call<Shape>, "operation" | "read">,
  ): Promise<Shape> {
    return send({ operation, ...call, read: readJson<Shape> });
  }

  async function* download(
    operation: "getBatchResultsCsv" | "getBatchResultsNdjson",
    call: Pick<Call<Response>, "path" | "query" | "options">,
  ): AsyncGenerator<string, void, undefined> {
    const response = await send({ operation, ...call, limits: "headers", read: (answer) => answer });
    yield* readText(response, silenceMs, joinSignals(options.signal, call.options?.signal));
  }

  async function streamBatch(stream: NewBatchStream, call: EnqueueOptions = {}) {
    const { instanceId, label, callbackUrl, priority, maxAge, defaultCountry, resume } = stream;
    const isBytes = "body" in stream;
    const { create, isRepeatable } = isBytes
      ? toStreamBody(stream.body, streamTypes[stream.format])
      : toContactBody(stream.contacts);
    const columns = isBytes
      ? { column: stream.column, refColumn: stream.refColumn }
      : { column: "chatId", refColumn: "externalRef" };
    const { strict } = call;
    const query = { instanceId, label, callbackUrl, priority, maxAge, defaultCountry, resume, strict };
    return send({
      operation: "createBatch",
      query: { ...query, ...columns },
      headers: { "idempotency-key": toIdempotencyHeader(call.idempotencyKey) },
      body: create,
      isRepeatable,
      limits: "none",
      read: readJson<Awaited<ReturnType<Client["streamBatch"]>>>,
      options: call,
    });
  }

  async function refreshContact(
    id: string,
    chatId: string,
    { waitMs = defaultWaitMs, ...call }: Parameters<Client["refreshContact"]>[2] = {},
  ): Promise<Refreshed> {
    return send<Refreshed>({
      operation: "refreshContact",
      path: { id, chatId },
      query: { wait: `${Math.round(waitMs)}ms` },
      extraMs: waitMs,
      async read(response) {
        if (response.status === 200) return { kind: "answered", contact: await readJson<Contact>(response) };
        const pending = await readJson<Omit<Extract<Refreshed, { kind: "pending" }>, "kind">>(response);
        return { kind: "pending", batchId: pending.batchId, contact: pending.contact };
      },
      options: call,
    });
  }

  const client: Client = {
    createBatch: async (batch, call = {}) =>
      ask("createBatch", {
        query: { strict: call.strict },
        headers: { "idempotency-key": toIdempotencyHeader(call.idempotencyKey) },
        ...toJsonBody(batch),
        options: call,
      }),
    streamBatch,
    listBatches: async (filter, call) => ask("listBatches", { query: { ...filter }, options: call }),
    iterateBatches: (filter, call) =>
      iteratePages(filter, async (page) => client.listBatches({ ...filter, ...page }, call)),
    getBatch: async (id, call) => ask("getBatch", { path: { id }, options: call }),
    listBatchItems: async (id, filter, call) =>
      ask("listBatchItems", { path: { id }, query: { ...filter }, options: call }),
    iterateBatchItems: (id, filter, call) =>
      iteratePages(filter, async (page) => client.listBatchItems(id, { ...filter, ...page }, call)),
    getBatchResultsCsv: (id, filter, call) =>
      download("getBatchResultsCsv", { path: { id }, query: { ...filter }, options: call }),
    async *getBatchResultsNdjson(id, filter, call) {
      const text = download("getBatchResultsNdjson", { path: { id }, query: { ...filter }, options: call });
      for await (const line of readLines(text)) yield JSON.parse(line) as BatchResult;
    },
    watchBatch: (id, follow = {}) =>
      watchBatch(send, timing, id, { ...follow, signal: joinSignals(follow.signal, options.signal) }),
    cancelBatch: async (id, call) => ask("cancelBatch", { path: { id }, options: call }),
    retryBatch: async (id, call) => ask("retryBatch", { path: { id }, options: call }),
    getContact: async (id, chatId, call) => ask("getContact", { path: { id, chatId }, options: call }),
    getContactHistory: async (id, chatId, page, call) =>
      ask("getContactHistory", { path: { id, chatId }, query: { ...page }, options: call }),
    iterateContactHistory: (id, chatId, page, call) =>
      iteratePages(page, async (next) => client.getContactHistory(id, chatId, { ...page, ...next }, call)),
    refreshContact,
    eraseContact: async (id, chatId, call) =>
      send({
        operation: "eraseContact",
        path: { id, chatId },
        read: () => undefined,
        readMissing: () => undefined,
        options: call,
      }),
    lookupContacts: async (lookup, call) => ask("lookupContacts", { ...toJsonBody(lookup), options: call }),
    listChanges: async (page, call) => ask("listChanges", { query: { ...page }, options: call }),
    changes: (follow) =>
      followChanges(
        async ({ signal, ...query }) =>
          ask<AvatarChanges>("listChanges", { query, options: { signal, maxRetries: 0 } }),
        timing,
        { ...follow, signal: joinSignals(follow?.signal, options.signal) },
      ),
    listInstances: async (call) => ask("listInstances", { options: call }),
    getInstance: async (id, call) => ask("getInstance", { path: { id }, options: call }),
    addInstance: async (instance, call) => ask("addInstance", { ...toJsonBody(instance), options: call }),
    changeInstance: async (id, changes, call) =>
      ask("changeInstance", { path: { id }, ...toJsonBody(changes), options: call }),
    pauseInstance: async (id, call) => ask("pauseInstance", { path: { id }, options: call }),
    resumeInstance: async (id, call) => ask("resumeInstance", { path: { id }, options: call }),
    removeInstance: async (id, { contacts, ...call } = {}) =>
      send<Removed>({
        operation: "removeInstance",
        path: { id },
        query: { contacts },
        read: ({ status }) => (status === 202 ? "removing" : "removed"),
        readMissing: () => "removed",
        options: call,
      }),
    getResyncPlan: async (filter, call) => ask("getResyncPlan", { query: { ...filter }, options: call }),
    listResyncRuns: async (filter, call) => ask("listResyncRuns", { query: { ...filter }, options: call }),
    iterateResyncRuns: (filter, call) =>
      iteratePages(filter, async (page) => client.listResyncRuns({ ...filter, ...page }, call)),
    getHealth: async (call) => ask("getHealth", { options: call }),
    getReadiness: async (call) => ask("getReadiness", { expects: 503, options: call }),
    getMetrics: async (call) =>
      send({ operation: "getMetrics", read: async (response) => response.text(), options: call }),
  };
  return client;
}

function toJsonBody(value: unknown): Pick<Call<unknown>, "body"> {
  const content = JSON.stringify(value);
  return { body: () => ({ content, type: "application/json" }) };
}

async function* iteratePages<Item>(
  from: PageOptions | undefined,
  readPage: (page: PageOptions) => Promise<{ readonly items: readonly Item[]; readonly next: string | null }>,
): AsyncGenerator<Item, void, undefined> {
  let cursor = from?.cursor;
  for (;;) {
    const { items, next } = await readPage({ cursor });
    yield* items;
    if (next === null) return;
    cursor = next;
  }
}
