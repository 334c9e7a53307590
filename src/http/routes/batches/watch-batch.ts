import { Readable } from "node:stream";
import { z } from "zod";
import type { BatchReport } from "../../../domain/views/batch.ts";
import { isOver, toBatchVersion } from "../../answers/batch-version.ts";
import { streamEvents, type ServerSentEvent } from "../../answers/server-sent-events.ts";
import { createBatchWatch } from "../../answers/watch-batches.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { describe, problems, textAnswer } from "../../openapi/describe.ts";
import { getKey } from "../../requests/access.ts";
import { createPlaces } from "../../requests/places.ts";
import { toWatchSignal } from "../../requests/watch-signal.ts";
import { batchParams, batchSchema, toBatch } from "../../schemas/batch.ts";
import { getVisibleBatch, type FindsBatch } from "./visible-batch.ts";

interface WatchBatchPorts {
  readonly batches: FindsBatch & {
    /** Counted a moment ago. */
    find(batchId: string): Promise<BatchReport | undefined>;
  };
}

const read = { scopes: ["read"] } as const;

const watchPlaces = { total: 1000, perKey: 250, what: "streams of events" };

const batchEventSchema = z
  .string()
  .meta({ description: "Events `progress` and `done`; `data` is a Batch as JSON, `id` its version." });

const watchBatchSchema = {
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
    200: textAnswer("A stream of events; their data is a Batch.", batchEventSchema, "text/event-stream"),
    204: z.undefined().describe("The batch is over, and its end was told."),
    ...problems(read, "invalid-request", "not-found"),
  },
};

/** `GET /v1/batches/{id}/events` */
export function addWatchBatch(api: ZodApi, context: ApiContext<WatchBatchPorts>): void {
  const { batches } = context.ports;
  const watchers = createPlaces(watchPlaces);
  const watch = createBatchWatch({ find: batches.find });
  api.get(
    "/v1/batches/:id/events",
    { config: { access: read, holdsNumbers: true }, schema: watchBatchSchema },
    async (request, reply) => {
      const { batchId } = await getVisibleBatch(batches, request);
      const lastId = request.headers["last-event-id"];
      const now = await batches.find(batchId);
      if (now && isOver(now) && toBatchVersion(now) === lastId) return reply.code(204).send();
      const key = getKey(request);
      const release = watchers.take(key.id);
      request.leaveWork();
      const signal = toWatchSignal(context, reply.raw, release);
      const events = toEvents(watch(batchId, signal), lastId);
      return reply
        .type("text/event-stream; charset=utf-8")
        .header("cache-control", "no-store")
        .header("x-accel-buffering", "no")
        .send(
          Readable.from(
            streamEvents(events, () => context.isStillValid(request)),
            { objectMode: false },
          ),
        );
    },
  );
}

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
