import { toActor } from "../../requests/actor.ts";
import type { FastifyReply } from "fastify";
import type { Readable } from "node:stream";
import type { InstanceId } from "../../../domain/instance-id.ts";
import { UserError } from "../../../lib/errors.ts";
import { toApiWords } from "../../answers/api-words.ts";
import { ApiError } from "../../answers/problem.ts";
import { invalidRequest, unavailable } from "../../answers/to-api-error.ts";
import type { Asker, BatchRefusal, RequestedBatch } from "../../../domain/requests/batch-request.ts";
import type { ContactStream, NotResumable, ReceivedBatch } from "../../../domain/requests/contact-stream.ts";
import { createReading, type Reading } from "../../../domain/requests/reading.ts";
import { orNull } from "../../schemas/common.ts";
import { assertVisible, getKey } from "../../requests/access.ts";
import { readIdempotencyKey } from "../../requests/idempotency-key.ts";
import { SenderGone } from "../../requests/sender-gone.ts";
import { whenClosed } from "../../requests/when-closed.ts";
import { sendAccepted, toAnswer, toRefusal, toWish, type AcceptRequest } from "./batch-acceptance.ts";
import { getVisibleBatch, type FindsBatch } from "./visible-batch.ts";

/** The ports for a stream. */
export interface AcceptStreamPorts {
  readonly isTransient: (error: unknown) => boolean;
  readonly batches: FindsBatch & {
    /**
     * Takes a stream in, chunk by chunk, each committed. Cut off, or ended by an error, it leaves a batch that is
     * `incomplete`. The same idempotency key, or `resume`, goes on with it.
     * @throws UserError for an input that cannot be used, or with `strict` at the first line that is no contact
     */
    receive(
      asker: Asker,
      batch: RequestedBatch,
      stream: ContactStream,
    ): Promise<ReceivedBatch | BatchRefusal | NotResumable>;
  };
}

/** Takes the stream of `POST /v1/batches` in, chunk by chunk; `source` is its body. */
export async function acceptStream(
  ports: AcceptStreamPorts,
  request: AcceptRequest,
  source: Readable,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const upload = await readUpload(ports, request);
  const gone = new AbortController();
  const leave = () => gone.abort();
  whenClosed(reply.raw, leave);
  let batchId: string | undefined;
  const stream: ContactStream = {
    ...toReading(request),
    source,
    signal: gone.signal,
    opened(id) {
      batchId = id;
    },
    takenBack() {
      batchId = undefined;
    },
  };
  try {
    const received = await receive(ports, request, upload, stream);
    return sendReceived(reply, received, stream.reading, upload.instanceId);
  } catch (error) {
    const problem = toStreamError(error, batchId, ports);
    // A fault that a cut input is found to have is no news for the sender that cut it.
    const isRefusal = problem instanceof ApiError && problem.status < 500;
    throw gone.signal.aborted && isRefusal ? new SenderGone(error) : problem;
  } finally {
    reply.raw.off("close", leave);
  }
}

interface Upload {
  readonly asker: Asker;
  readonly instanceId: InstanceId;
}

/** The upload as its query and its headers say it, once the key was found to be good for it. */
async function readUpload({ batches }: AcceptStreamPorts, request: AcceptRequest): Promise<Upload> {
  const key = getKey(request);
  const { instanceId, resume } = request.query;
  if (instanceId === undefined) {
    throw invalidRequest([{ path: "query/instanceId", message: "A stream needs it in the query" }]);
  }
  assertVisible(key, instanceId);
  const idempotencyKey = readIdempotencyKey(request.headers["idempotency-key"]);
  if (resume !== undefined) await getVisibleBatch(batches, { apiKey: key, params: { id: resume } });
  return { asker: { apiKeyId: key.id, idempotencyKey, by: toActor(request) }, instanceId };
}

/** The way to read the input. */
function toReading({ query }: AcceptRequest) {
  return {
    strict: query.strict ?? false,
    column: query.column,
    refColumn: query.refColumn,
    defaultCountry: query.defaultCountry,
    firstNumber: query.firstNumber ?? false,
    encoding: query.encoding,
    sheet: query.sheet,
    reading: createReading(),
    resume: query.resume,
  };
}

/** @throws ApiError where the stream was not taken in */
async function receive(
  { batches }: AcceptStreamPorts,
  { query }: AcceptRequest,
  { asker, instanceId }: Upload,
  stream: ContactStream,
): Promise<ReceivedBatch> {
  const received = await batches.receive(asker, { source: "api", ...toWish(query), instanceId }, stream);
  if (received.kind === "not-resumable") {
    throw new ApiError(
      "conflict",
      "this batch cannot be gone on with: only an incomplete one of the same instance can",
    );
  }
  if (received.kind !== "accepted") throw toRefusal(received, instanceId);
  return received;
}

function sendReceived(
  reply: FastifyReply,
  received: ReceivedBatch,
  { unit, format, encoding, sheet, columns, refColumn }: Reading,
  instanceId: string,
): FastifyReply {
  const { resumed, rejects, several } = received;
  return sendAccepted(reply, received, {
    ...toAnswer(received, instanceId),
    resumed,
    rejects: rejects.map(({ position, place, text, reason }) => ({
      line: position,
      ...(place !== undefined && { place }),
      text,
      reason: toApiWords(reason),
    })),
    reading: {
      unit,
      format: orNull(format),
      encoding: orNull(encoding),
      sheet: orNull(sheet),
      columns,
      refColumn: orNull(refColumn),
      several,
    },
  });
}

/** The error with the batch that the stream leaves; the deadline of a slow sender comes as the cause. */
function toStreamError(
  error: unknown,
  batchId: string | undefined,
  { isTransient }: Pick<AcceptStreamPorts, "isTransient">,
): unknown {
  const cause = error instanceof UserError ? error.cause : undefined;
  if (cause instanceof ApiError)
    return new ApiError(cause.kind, cause.message, { ...cause.options, batchId });
  const isUsers = error instanceof UserError && !error.retryable;
  if (!isUsers) return isTransient(error) || error instanceof UserError ? unavailable(error, batchId) : error;
  const kind = error.code === "bad-line" ? "invalid-contacts" : "unusable-input";
  return new ApiError(kind, toApiWords(error.message), { batchId, cause: error });
}
