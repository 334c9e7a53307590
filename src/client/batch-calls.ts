import { iteratePages, toJsonBody, type Caller } from "./caller.ts";
import type { Client, EnqueueOptions, NewBatchStream } from "./client.ts";
import { toIdempotencyHeader } from "./http/idempotency-header.ts";
import { joinSignals } from "./http/join-signals.ts";
import { toContactBody, toStreamBody } from "./outgoing-stream.ts";
import { readJson, readLines, readText } from "./read-answer.ts";
import type { Call } from "./send.ts";
import { watchBatch } from "./watch-batch.ts";
import type { AcceptedBatch, BatchResult } from "./wire.ts";

export type BatchCalls = Pick<
  Client,
  | "createBatch"
  | "streamBatch"
  | "listBatches"
  | "iterateBatches"
  | "getBatch"
  | "listBatchItems"
  | "iterateBatchItems"
  | "getBatchResultsCsv"
  | "getBatchResultsNdjson"
  | "watchBatch"
  | "cancelBatch"
  | "retryBatch"
>;

const streamTypes = {
  ndjson: "application/x-ndjson",
  csv: "text/csv",
  text: "text/plain",
  vcard: "text/vcard",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
} as const;
/** Of a download, something comes within this time. */
const silenceMs = 60_000;

/** Makes batches, and tells what becomes of them. */
export function createBatchCalls(caller: Caller): BatchCalls {
  const { ask, send, timing, signal } = caller;
  const calls: BatchCalls = {
    createBatch: async (batch, call = {}) =>
      ask("createBatch", {
        query: { strict: call.strict },
        headers: { "idempotency-key": toIdempotencyHeader(call.idempotencyKey) },
        ...toJsonBody(batch),
        options: call,
      }),
    streamBatch: async (stream, call) => streamBatch(caller, stream, call),
    listBatches: async (filter, call) => ask("listBatches", { query: { ...filter }, options: call }),
    iterateBatches: (filter, call) =>
      iteratePages(filter, async (page) => calls.listBatches({ ...filter, ...page }, call)),
    getBatch: async (id, call) => ask("getBatch", { path: { id }, options: call }),
    listBatchItems: async (id, filter, call) =>
      ask("listBatchItems", { path: { id }, query: { ...filter }, options: call }),
    iterateBatchItems: (id, filter, call) =>
      iteratePages(filter, async (page) => calls.listBatchItems(id, { ...filter, ...page }, call)),
    getBatchResultsCsv: (id, filter, call) =>
      download(caller, "getBatchResultsCsv", { path: { id }, query: { ...filter }, options: call }),
    async *getBatchResultsNdjson(id, filter, call) {
      const asked = { path: { id }, query: { ...filter }, options: call };
      const text = download(caller, "getBatchResultsNdjson", asked);
      for await (const line of readLines(text)) yield JSON.parse(line) as BatchResult;
    },
    watchBatch: (id, follow = {}) =>
      watchBatch(send, timing, id, { ...follow, signal: joinSignals(follow.signal, signal) }),
    cancelBatch: async (id, call) => ask("cancelBatch", { path: { id }, options: call }),
    retryBatch: async (id, call) => ask("retryBatch", { path: { id }, options: call }),
  };
  return calls;
}

async function streamBatch(
  { send }: Caller,
  stream: NewBatchStream,
  call: EnqueueOptions = {},
): Promise<AcceptedBatch> {
  const { instanceId, label, callbackUrl, priority, maxAge, defaultCountry, resume } = stream;
  const isBytes = "body" in stream;
  const { create, isRepeatable } = isBytes
    ? toStreamBody(stream.body, streamTypes[stream.format])
    : toContactBody(stream.contacts);
  const columns = isBytes
    ? {
        column: stream.column,
        refColumn: stream.refColumn,
        firstNumber: stream.firstNumber,
        encoding: stream.encoding,
        sheet: stream.sheet,
      }
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
    read: readJson<AcceptedBatch>,
    options: call,
  });
}

async function* download(
  { send, signal }: Caller,
  operation: "getBatchResultsCsv" | "getBatchResultsNdjson",
  call: Pick<Call<Response>, "path" | "query" | "options">,
): AsyncGenerator<string, void, undefined> {
  const response = await send({ operation, ...call, limits: "headers", read: (answer) => answer });
  yield* readText(response, silenceMs, joinSignals(signal, call.options?.signal));
}
