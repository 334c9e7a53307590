import { Readable } from "node:stream";
import { z } from "zod";
import type { BatchReport } from "../../../domain/views/batch.ts";
import { getKey } from "../../requests/access.ts";
import { isOver, toBatchVersion } from "../../answers/batch-version.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { describe, problems, textAnswer } from "../../openapi/describe.ts";
import { createPlaces } from "../../requests/places.ts";
import { batchParams, batchSchema, resultsQuery, toBatch } from "../../schemas/batch.ts";
import { streamEvents, type ServerSentEvent } from "../../answers/server-sent-events.ts";
import { whenClosed } from "../../requests/when-closed.ts";
import { getVisibleBatch } from "./batches.ts";

const read = { scopes: ["read"] } as const;
/** Each keeps a connection to Postgres, and its transaction, until all rows are read: who reads slowly is cut (serve-api.ts). */
const downloadPlaces = { total: 8, perKey: 2, what: "downloads" };
const watchPlaces = { total: 1000, perKey: 250, what: "streams of events" };

const types = { csv: "text/csv", ndjson: "application/x-ndjson" } as const;

/** The results and the events of a batch. */
export function addFollowRoutes(
  api: ZodApi,
  { ports, closing, isKeyValid, watchMs, failed }: ApiContext,
): void {
  const { batches } = ports;
  const downloads = createPlaces(downloadPlaces);
  const watchers = createPlaces(watchPlaces);

  for (const format of ["csv", "ndjson"] as const) {
    api.get(
      `/v1/batches/:id/results.${format}`,
      {
        config: { access: read },
        schema: {
          ...describe({
            id: format === "csv" ? "getBatchResultsCsv" : "getBatchResultsNdjson",
            tag: "Batches",
            summary: `The contacts of a batch with their avatars, as ${format.toUpperCase()}.`,
            description:
              "In the order of the batch's input, as the results file of the command line. A download that is cut short has no proper end: it fails in the client.",
            access: read,
          }),
          params: batchParams,
          querystring: resultsQuery,
          response: {
            200: textAnswer("A stream.", z.string(), types[format]),
            ...problems(read, "invalid-request", "not-found"),
          },
        },
      },
      async (request, reply) => {
        const { batchId } = await getVisibleBatch(batches, request);
        const release = downloads.take(getKey(request).id);
        request.leaveWork();
        whenClosed(reply.raw, release);
        const rows = batches.readResults(batchId, request.query.status);
        // What fails before the first row is still an answer.
        const first = await rows.next().catch((error: unknown) => {
          release();
          throw error;
        });
        const stream = ports.formatResults(format, prepend(first, rows));
        // Of a reader that leaves, too.
        stream.once("close", () => void rows.return(undefined));
        // The answer has begun: all that is left is to cut it, and to say so.
        stream.once("error", (error) => failed(request, error));
        return reply
          .type(`${types[format]}; charset=utf-8`)
          .header("content-disposition", `attachment; filename="${batchId}.avatars.${format}"`)
          .send(stream);
      },
    );
  }

  api.get(
    "/v1/batches/:id/events",
    {
      config: { access: read },
      schema: {
        ...describe({
          id: "watchBatch",
          tag: "Batches",
          summary: "Follow a batch by server-sent events.",
          description:
            "An event `progress` with the batch as `GET /batches/{id}` gives it, whenever a count has changed, at most one a second; at last an event `done`, and the end. A stream ends after a quarter of an hour in any case, with a hint when to come again. With `Last-Event-ID` nothing is told twice, and 204 says that there is nothing to come.",
          access: read,
        }),
        params: batchParams,
        headers: z.looseObject({
          "last-event-id": z
            .string()
            .max(200)
            .optional()
            .meta({ description: "The id of the last event that was received." }),
        }),
        response: {
          200: textAnswer(
            "A stream of events; their data is a Batch.",
            batchEventSchema,
            "text/event-stream",
          ),
          204: z.undefined().describe("The batch is over, and its end was told."),
          ...problems(read, "invalid-request", "not-found"),
        },
      },
    },
    async (request, reply) => {
      const { batchId } = await getVisibleBatch(batches, request);
      const lastId = request.headers["last-event-id"];
      const now = await batches.find(batchId);
      if (now && isOver(now) && toBatchVersion(now) === lastId) return reply.code(204).send();
      const key = getKey(request);
      const release = watchers.take(key.id);
      request.leaveWork();
      const over = new AbortController();
      // So little is told that a reader who does not read would be noticed in hours: it is asked to come again instead.
      const timer = setTimeout(() => over.abort(), watchMs);
      whenClosed(reply.raw, () => {
        clearTimeout(timer);
        release();
        over.abort();
      });
      const signal = AbortSignal.any([over.signal, closing]);
      const events = toEvents(batches.watch(batchId, signal), lastId);
      return reply
        .type("text/event-stream; charset=utf-8")
        .header("cache-control", "no-store")
        .header("x-accel-buffering", "no")
        .send(
          Readable.from(
            streamEvents(events, () => isKeyValid(key)),
            { objectMode: false },
          ),
        );
    },
  );
}

const batchEventSchema = z
  .string()
  .meta({ description: "Events `progress` and `done`; `data` is a Batch as JSON, `id` its version." });

async function* toEvents(
  reports: AsyncIterable<BatchReport>,
  lastId: string | undefined,
): AsyncGenerator<ServerSentEvent> {
  for await (const report of reports) {
    const id = toBatchVersion(report);
    const isEnd = isOver(report);
    if (id === lastId && !isEnd) continue;
    yield {
      id,
      event: isEnd ? "done" : "progress",
      data: JSON.stringify(z.encode(batchSchema, toBatch(report))),
    };
    if (isEnd) return;
  }
}

async function* prepend<Row>(first: IteratorResult<Row>, rest: AsyncGenerator<Row>): AsyncGenerator<Row> {
  if (first.done) return;
  yield first.value;
  yield* rest;
}
