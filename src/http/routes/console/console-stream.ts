import { Readable } from "node:stream";
import { z } from "zod";
import type { BatchReport } from "../../../domain/views/batch.ts";
import type { InstanceOverview } from "../../../domain/views/instance-overview.ts";
import { streamEvents, type ServerSentEvent } from "../../answers/server-sent-events.ts";
import { createBatchWatch } from "../../answers/watch-batches.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { canSee, getKey } from "../../requests/access.ts";
import { createPlaces } from "../../requests/places.ts";
import { toWatchSignal } from "../../requests/watch-signal.ts";
import { batchIdInput } from "../../schemas/new-batch.ts";
import { createConsoleFeed } from "./console-feed.ts";

interface ConsoleStreamPorts {
  readonly overview: { read(): Promise<readonly InstanceOverview[]> };
  readonly batches: { find(batchId: string): Promise<BatchReport | undefined> };
  /** Never rejects, and answers within 3 s. */
  readonly isQueueReachable: () => Promise<boolean>;
  /** Numbers may be asked for in the console. */
  readonly mayReveal: boolean;
}

const read = { scopes: ["read"] } as const;

/** A stream for each tab that is looked at. */
const streamPlaces = { total: 500, perKey: 100, what: "streams of the console" };

const lastEventId = z.string().max(200).optional();

/**
 * `GET /console/stream`: all that changes by itself on the console's pages, one stream a tab. Events `hello`, `away`, `status`, and
 * `batch` of the one that `batch` names. `Last-Event-ID`, or `last` for a stream that is opened anew, leaves out what was told.
 */
export function addConsoleStream(api: ZodApi, context: ApiContext<ConsoleStreamPorts>): void {
  const { overview, batches, isQueueReachable, mayReveal } = context.ports;
  const places = createPlaces(streamPlaces);
  const feed = createConsoleFeed({ readOverview: overview.read, isQueueReachable });
  const watchBatch = createBatchWatch({ find: batches.find });
  const hello: ServerSentEvent = { id: "0", event: "hello", data: JSON.stringify({ mayReveal }) };
  api.get(
    "/console/stream",
    {
      config: { access: read },
      schema: {
        hide: true,
        querystring: z.strictObject({ last: lastEventId, batch: batchIdInput.optional() }),
        headers: z.looseObject({ "last-event-id": lastEventId }),
      },
    },
    async (request, reply) => {
      const key = getKey(request);
      const release = places.take(key.id);
      request.leaveWork();
      const signal = toWatchSignal(context, reply.raw, release);
      const { batch, last } = request.query;
      const lastId = request.headers["last-event-id"] ?? last;
      const reports = batch === undefined ? undefined : watchBatch(batch, signal);
      const news = feed({ lastId, canSee: (id) => canSee(key, id), signal, reports });
      return reply
        .type("text/event-stream; charset=utf-8")
        .header("cache-control", "no-store")
        .header("x-accel-buffering", "no")
        .send(
          Readable.from(
            streamEvents(withFirst({ ...hello, id: lastId ?? "0" }, news), () =>
              context.isStillValid(request),
            ),
            { objectMode: false },
          ),
        );
    },
  );
}

async function* withFirst<Item>(first: Item, rest: AsyncIterable<Item>): AsyncGenerator<Item> {
  yield first;
  yield* rest;
}
