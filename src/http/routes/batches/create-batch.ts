import { Readable } from "node:stream";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { getKey } from "../../requests/access.ts";
import { createPlaces } from "../../requests/places.ts";
import { acceptedBatchSchema } from "../../schemas/batch.ts";
import { idempotencyHeaders, streamQuery } from "../../schemas/new-batch.ts";
import { acceptJson, type AcceptJsonPorts } from "./accept-json.ts";
import { acceptStream, type AcceptStreamPorts } from "./accept-stream.ts";

const enqueue = { scopes: ["enqueue"] } as const;
/** An upload writes over up to two connections to Postgres. */
const uploadPlaces = { total: 8, perKey: 2, what: "uploads" };

const createBatchSchema = {
  ...describe({
    id: "createBatch",
    tag: "Batches",
    summary: "Ask for many contacts.",
    description:
      "202 means that all of it is committed. A JSON body holds up to 10,000 items. `application/x-ndjson`, `text/csv`, plain lines, vCards and Excel workbooks, also gzipped, are taken as a stream of any length and committed chunk by chunk; the query says then what a JSON body would. A stream that is cut off leaves a batch that is `incomplete`: send all of it again with the same `Idempotency-Key`, or with `resume`, and it goes on; contacts are never asked twice for it. With an `Idempotency-Key` (24 hours, per API key) the same request is answered the same, and nothing is done twice.",
    access: enqueue,
  }),
  querystring: streamQuery,
  headers: idempotencyHeaders,
  response: {
    202: answer("Taken in, and committed.", acceptedBatchSchema),
    ...problems(
      enqueue,
      "invalid-request",
      "malformed-body",
      "not-found",
      "request-timeout",
      "in-progress",
      "conflict",
      "body-too-large",
      "unsupported-media-type",
      "invalid-contacts",
      "unusable-input",
      "idempotency-key-reused",
    ),
  },
};

/** `POST /v1/batches`: JSON, or a stream of any length. */
export function addCreateBatch(api: ZodApi, context: ApiContext<AcceptJsonPorts & AcceptStreamPorts>): void {
  const { ports } = context;
  const places = createPlaces(uploadPlaces);
  api.post(
    "/v1/batches",
    { config: { access: enqueue, streams: true }, schema: createBatchSchema },
    async (request, reply) => {
      if (!(request.body instanceof Readable)) return acceptJson(ports, request, reply);
      const release = places.take(getKey(request).id);
      request.leaveWork();
      try {
        return await acceptStream(ports, request, request.body, reply);
      } finally {
        release();
      }
    },
  );
}
