import type { FastifyReply, FastifyRequest } from "fastify";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { z } from "zod";
import { defaultMaxAgeMs } from "../../../domain/views/batch.ts";
import { UserError } from "../../../lib/errors.ts";
import { mapInTurns } from "../../../lib/in-turns.ts";
import { assertVisible, getKey, noInstance } from "../../requests/access.ts";
import { toApiWords } from "../../answers/api-words.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { readIdempotencyKey } from "../../requests/idempotency-key.ts";
import { createPlaces } from "../../requests/places.ts";
import type { ApiPorts, AcceptedBatch, BatchWish, Refusal, WishedContact } from "../../context/ports.ts";
import { ApiError } from "../../answers/problem.ts";
import { acceptedBatchSchema, toEtaSeconds } from "../../schemas/batch.ts";
import { idempotencyHeaders, newBatchSchema, streamQuery } from "../../schemas/new-batch.ts";
import { SenderGone } from "../../requests/sender-gone.ts";
import { invalidRequest, toFault, unavailable } from "../../answers/to-api-error.ts";
import { whenClosed } from "../../requests/when-closed.ts";
import { getVisibleBatch } from "./visible-batch.ts";

const enqueue = { scopes: ["enqueue"] } as const;
/** Each writes over up to two connections to Postgres. */
const uploadPlaces = { total: 8, perKey: 2, what: "uploads" };
const inProgressRetryS = 1;

type NewBatch = z.output<typeof newBatchSchema>;
type Query = z.output<typeof streamQuery>;
type Answer = z.output<typeof acceptedBatchSchema>;

/** `POST /v1/batches`: JSON, or a stream of any length. */
export function addAcceptRoute(api: ZodApi, context: ApiContext): void {
  const places = createPlaces(uploadPlaces);
  api.post(
    "/v1/batches",
    {
      config: { access: enqueue, streams: true },
      schema: {
        ...describe({
          id: "createBatch",
          tag: "Batches",
          summary: "Ask for many contacts.",
          description:
            "202 means that all of it is committed. A JSON body holds up to 10,000 items. `application/x-ndjson`, `text/csv` and plain lines, also gzipped, are taken as a stream of any length and committed chunk by chunk; the query says then what a JSON body would. A stream that is cut off leaves a batch that is `incomplete`: send all of it again with the same `Idempotency-Key`, or with `resume`, and it goes on; contacts are never asked twice for it. With an `Idempotency-Key` (24 hours, per API key) the same request is answered the same, and nothing is done twice.",
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
      },
    },
    async (request, reply) => {
      if (request.body instanceof Readable) {
        const release = places.take(getKey(request).id);
        request.leaveWork();
        try {
          return await receive(context, request, request.body, reply);
        } finally {
          release();
        }
      }
      assertOfJson(request.query);
      return accept(context, request, reply);
    },
  );
}

/** What a JSON body says itself is not overruled by the query, nor left out without a word. */
function assertOfJson(query: Query): void {
  const errors = Object.keys(query)
    .filter((name) => name !== "strict")
    .map((name) => ({
      path: `query/${name}`,
      message: "It is for streams: a JSON body says it itself, where it can be said",
    }));
  if (errors.length > 0) throw invalidRequest(errors);
}

type AcceptRequest = FastifyRequest & { readonly query: Query };

async function accept({ ports }: ApiContext, request: AcceptRequest, reply: FastifyReply) {
  const key = getKey(request);
  const idempotencyKey = readIdempotencyKey(request.headers["idempotency-key"]);
  const wish = parseBody(request.body);
  assertVisible(key, wish.instanceId);
  const { contacts, invalid, inputs } = await readContacts(wish, ports);
  if (request.query.strict && invalid.size > 0) throw toInvalidContacts(wish, invalid);

  const fingerprint = createHash("sha256")
    .update(`json ${request.query.strict ?? false} `)
    .update(JSON.stringify(request.body))
    .digest("base64url");
  const accepted = await ports.batches.accept(
    { apiKeyId: key.id, idempotencyKey, fingerprint },
    { source: "api", ...toWish(wish), instanceId: wish.instanceId },
    contacts,
    invalid.size,
  );
  if (accepted.kind !== "accepted") throw toRefusal(accepted, wish.instanceId);

  const outcomes = new Map(
    contacts.map(({ position, chatId }, at) => [position, { chatId, status: accepted.acceptedAs[at]! }]),
  );
  const items = Array.from({ length: inputs }, (_, index) => {
    const outcome = outcomes.get(index);
    return outcome
      ? { index, status: outcome.status, chatId: outcome.chatId }
      : { index, status: "invalid" as const, reason: invalid.get(index) ?? "no contact" };
  });
  return sendAccepted(reply, accepted, { ...toAnswer(accepted, wish.instanceId), items });
}

function parseBody(body: unknown): NewBatch {
  const parsed = newBatchSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalidRequest(
    parsed.error.issues.map((issue) => ({
      path: issue.path.length === 0 ? "" : `/${issue.path.join("/")}`,
      message: toFault(issue.message, issue.code === "unrecognized_keys" ? issue.keys : undefined),
    })),
  );
}

interface ReadContacts {
  readonly contacts: readonly WishedContact[];
  /** Why, by the index of the item. */
  readonly invalid: ReadonlyMap<number, string>;
  readonly inputs: number;
}

async function readContacts(wish: NewBatch, ports: Pick<ApiPorts, "parseContactId">): Promise<ReadContacts> {
  const inputs: NonNullable<NewBatch["contacts"]> =
    wish.contacts ?? (wish.chatIds ?? []).map((chatId) => ({ chatId }));
  const contacts: WishedContact[] = [];
  const invalid = new Map<number, string>();
  await mapInTurns(inputs, ({ chatId, phone, externalRef }, position) => {
    const id = ports.parseContactId(chatId ?? phone ?? "");
    if (id.ok) contacts.push({ chatId: id.chatId, externalRef: externalRef?.trim() || undefined, position });
    else invalid.set(position, toItemWords(id.reason));
  });
  return { contacts, invalid, inputs: inputs.length };
}

/** A JSON body has no country for its numbers. */
function toItemWords(reason: string): string {
  return reason.replace(/; use --default-country for national ones$/, ": write it with its country code");
}

function toInvalidContacts(wish: NewBatch, invalid: ReadonlyMap<number, string>): ApiError {
  const list = wish.contacts ? "contacts" : "chatIds";
  const errors = [...invalid].map(([index, message]) => ({ path: `/${list}/${index}`, message }));
  return new ApiError(
    "invalid-contacts",
    `${invalid.size} of the items are no contacts, and strict=true refuses the whole: nothing was taken in`,
    { errors },
  );
}

async function receive(
  { ports }: ApiContext,
  request: AcceptRequest,
  source: Readable,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const key = getKey(request);
  const { query } = request;
  const { instanceId } = query;
  if (instanceId === undefined) {
    throw invalidRequest([{ path: "query/instanceId", message: "A stream needs it in the query" }]);
  }
  assertVisible(key, instanceId);
  const idempotencyKey = readIdempotencyKey(request.headers["idempotency-key"]);
  if (query.resume !== undefined)
    await getVisibleBatch(ports.batches, { apiKey: key, params: { id: query.resume } });

  const gone = new AbortController();
  const leave = () => gone.abort();
  whenClosed(reply.raw, leave);
  let batchId: string | undefined;
  try {
    const received = await ports.batches.receive(
      { apiKeyId: key.id, idempotencyKey },
      { source: "api", ...toWish(query), instanceId },
      {
        source,
        strict: query.strict ?? false,
        column: query.column,
        refColumn: query.refColumn,
        defaultCountry: query.defaultCountry,
        resume: query.resume,
        signal: gone.signal,
        opened(id) {
          batchId = id;
        },
        takenBack() {
          batchId = undefined;
        },
      },
    );
    if (received.kind === "not-resumable") {
      throw new ApiError(
        "conflict",
        "this batch cannot be gone on with: only an incomplete one of the same instance can",
      );
    }
    if (received.kind !== "accepted") throw toRefusal(received, instanceId);
    const { resumed, rejects } = received;
    return sendAccepted(reply, received, {
      ...toAnswer(received, instanceId),
      resumed,
      rejects: rejects.map(({ line, text, reason }) => ({ line, text, reason: toApiWords(reason) })),
    });
  } catch (error) {
    const problem = toStreamError(error, batchId, ports);
    // What a cut input is found to be is no news for whoever cut it.
    const isRefusal = problem instanceof ApiError && problem.status < 500;
    throw gone.signal.aborted && isRefusal ? new SenderGone(error) : problem;
  } finally {
    reply.raw.off("close", leave);
  }
}

function toWish(
  given: Pick<NewBatch, "label" | "priority" | "maxAge" | "callbackUrl">,
): Omit<BatchWish, "instanceId" | "source"> {
  return {
    label: given.label,
    priority: given.priority ?? 1,
    maxAgeMs: given.maxAge ?? defaultMaxAgeMs,
    callbackUrl: given.callbackUrl,
  };
}

function toAnswer({ batch, etaMs }: AcceptedBatch, instanceId: string): Answer {
  const { batchId: id, requestedAt, accepted, duplicates, rejected } = batch;
  return {
    id,
    instanceId,
    requestedAt,
    counts: { accepted, duplicates, rejected },
    etaSeconds: toEtaSeconds(etaMs),
  };
}

function sendAccepted(reply: FastifyReply, { replayed, batch }: AcceptedBatch, body: Answer): FastifyReply {
  if (replayed) void reply.header("idempotency-replayed", "true");
  return reply
    .code(202)
    .header("location", `/v1/batches/${batch.batchId}`)
    .type("application/json")
    .send(body);
}

function toRefusal({ kind }: Refusal, instanceId: string): ApiError {
  switch (kind) {
    case "unknown-instance":
      return noInstance(instanceId);
    case "in-progress":
      return new ApiError("in-progress", "the first request with this idempotency key is still at work", {
        retryAfterS: inProgressRetryS,
      });
    case "other-body":
      return new ApiError(
        "idempotency-key-reused",
        "this idempotency key came with another request before: use a new one",
      );
  }
}

/** With the batch that it leaves; the deadline of a slow sender comes as the cause. */
function toStreamError(
  error: unknown,
  batchId: string | undefined,
  { isTransient }: Pick<ApiPorts, "isTransient">,
): unknown {
  const cause = error instanceof UserError ? error.cause : undefined;
  if (cause instanceof ApiError)
    return new ApiError(cause.kind, cause.message, { ...cause.options, batchId });
  const isUsers = error instanceof UserError && !error.retryable;
  if (!isUsers) return isTransient(error) || error instanceof UserError ? unavailable(error, batchId) : error;
  const kind = error.code === "bad-line" ? "invalid-contacts" : "unusable-input";
  return new ApiError(kind, toApiWords(error.message), { batchId, cause: error });
}
