import type { Readable } from "node:stream";
import { z } from "zod";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { ContactStatus } from "../../../domain/contact-status.ts";
import type { ResultFilter, ResultRow } from "../../../domain/views/result-row.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { describe, problems, textAnswer } from "../../openapi/describe.ts";
import { getKey } from "../../requests/access.ts";
import { toShownRows, type RevealPorts } from "../../requests/console-masking.ts";
import { createPlaces, type Places } from "../../requests/places.ts";
import { whenClosed } from "../../requests/when-closed.ts";
import { batchParams, resultsQuery } from "../../schemas/batch.ts";
import { getVisibleBatch, type FindsBatch } from "./visible-batch.ts";

interface ResultsPorts extends Pick<RevealPorts, "audit"> {
  readonly batches: FindsBatch & {
    /** Rejects where the batch is not there any more. */
    readResults(filter: ResultFilter): AsyncGenerator<ResultRow>;
  };
  /** Writes the rows of a results file. */
  readonly formatResults: (format: "csv" | "ndjson", rows: AsyncIterable<ResultRow>) => Readable;
}

type ResultsContext = ApiContext<ResultsPorts>;

const read = { scopes: ["read"] } as const;

/**
 * Downloads at a time. Each keeps a connection to Postgres, and its transaction, until all rows are read. Slow readers are
 * cut (serve-api.ts).
 */
const downloadPlaces = { total: 8, perKey: 2, what: "downloads" };

/** Adds the downloads of both formats, which share their places. */
export function addBatchResults(api: ZodApi, context: ResultsContext): void {
  const downloads = createPlaces(downloadPlaces);
  addResultsCsv(api, context, downloads);
  addResultsNdjson(api, context, downloads);
}

const inWords =
  "In the order of the batch's input, as the results file of the command line. A download that is cut short has no proper end: it fails in the client.";

const resultsCsvSchema = {
  ...describe({
    id: "getBatchResultsCsv",
    tag: "Batches",
    summary: "The contacts of a batch with their avatars, as CSV.",
    description: inWords,
    access: read,
  }),
  params: batchParams,
  querystring: resultsQuery,
  response: {
    200: textAnswer("A stream.", z.string(), "text/csv"),
    ...problems(read, "invalid-request", "not-found"),
  },
};

/** `GET /v1/batches/{id}/results.csv` */
function addResultsCsv(api: ZodApi, context: ResultsContext, downloads: Places): void {
  api.get(
    "/v1/batches/:id/results.csv",
    { config: { access: read }, schema: resultsCsvSchema },
    (request, reply) => sendResults("csv", context, downloads, request, reply),
  );
}

const resultsNdjsonSchema = {
  ...describe({
    id: "getBatchResultsNdjson",
    tag: "Batches",
    summary: "The contacts of a batch with their avatars, as NDJSON.",
    description: inWords,
    access: read,
  }),
  params: batchParams,
  querystring: resultsQuery,
  response: {
    200: textAnswer("A stream.", z.string(), "application/x-ndjson"),
    ...problems(read, "invalid-request", "not-found"),
  },
};

/** `GET /v1/batches/{id}/results.ndjson` */
function addResultsNdjson(api: ZodApi, context: ResultsContext, downloads: Places): void {
  api.get(
    "/v1/batches/:id/results.ndjson",
    { config: { access: read }, schema: resultsNdjsonSchema },
    (request, reply) => sendResults("ndjson", context, downloads, request, reply),
  );
}

type ResultsRequest = FastifyRequest & {
  readonly params: { readonly id: string };
  readonly query: { readonly status?: readonly ContactStatus[] | undefined };
};

const types = { csv: "text/csv", ndjson: "application/x-ndjson" } as const;

async function sendResults(
  format: keyof typeof types,
  { ports, failed }: ResultsContext,
  downloads: Places,
  request: ResultsRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { batches } = ports;
  const { batchId, instanceId, accepted } = await getVisibleBatch(batches, request);
  const release = downloads.take(getKey(request).id);
  request.leaveWork();
  whenClosed(reply.raw, release);
  const rows = batches.readResults({ batchId, statuses: request.query.status });
  // A failure before the first row is still an answer.
  const begin = async () => {
    const all = prepend(await rows.next(), rows);
    return toShownRows(request, all, ports, { batchId, instanceId, contacts: accepted });
  };
  const shown = await begin().catch(async (error: unknown) => {
    release();
    await rows.return(undefined);
    throw error;
  });
  const stream = ports.formatResults(format, shown);
  // The rows of a reader that leaves are given up, too.
  stream.once("close", () => void rows.return(undefined));
  // The answer has begun: all that is left is to cut it, and to say so.
  stream.once("error", (error) => failed(request, error));
  return reply
    .type(`${types[format]}; charset=utf-8`)
    .header("cache-control", "no-store")
    .header("content-disposition", `attachment; filename="${batchId}.avatars.${format}"`)
    .send(stream);
}

async function* prepend<Row>(first: IteratorResult<Row>, rest: AsyncGenerator<Row>): AsyncGenerator<Row> {
  if (first.done) return;
  yield first.value;
  yield* rest;
}
