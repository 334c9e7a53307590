import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { defaultMaxAgeMs } from "../../../domain/views/batch.ts";
import { ApiError } from "../../answers/problem.ts";
import type { AcceptedBatch, BatchRefusal, RequestedBatch } from "../../../domain/requests/batch-request.ts";
import { noInstance } from "../../requests/access.ts";
import { toEtaSeconds, type acceptedBatchSchema } from "../../schemas/batch.ts";
import type { newBatchSchema, streamQuery } from "../../schemas/new-batch.ts";

/** A request to `POST /v1/batches`, with a JSON body or a stream. */
export type AcceptRequest = FastifyRequest & { readonly query: StreamQuery };

/** The body of a JSON request. */
export type NewBatch = z.output<typeof newBatchSchema>;
type StreamQuery = z.output<typeof streamQuery>;
type Answer = z.output<typeof acceptedBatchSchema>;

const inProgressRetryS = 1;

/** The wishes of a body, or of the query of a stream, for its batch. */
export function toWish(
  given: Pick<NewBatch, "label" | "priority" | "maxAge" | "callbackUrl">,
): Omit<RequestedBatch, "instanceId" | "source"> {
  return {
    label: given.label,
    priority: given.priority ?? 1,
    maxAgeMs: given.maxAge ?? defaultMaxAgeMs,
    callbackUrl: given.callbackUrl,
  };
}

/** The part of the answer that JSON and streams have in common. */
export function toAnswer({ batch, etaMs }: AcceptedBatch, instanceId: string): Answer {
  const { batchId: id, requestedAt, accepted, duplicates, rejected } = batch;
  return {
    id,
    instanceId,
    requestedAt,
    counts: { accepted, duplicates, rejected },
    etaSeconds: toEtaSeconds(etaMs),
  };
}

/** Answers with 202 and where the batch is. */
export function sendAccepted(
  reply: FastifyReply,
  { replayed, batch }: AcceptedBatch,
  body: Answer,
): FastifyReply {
  if (replayed) void reply.header("idempotency-replayed", "true");
  return reply
    .code(202)
    .header("location", `/v1/batches/${batch.batchId}`)
    .type("application/json")
    .send(body);
}

/** The answer to a request that was not taken in. */
export function toRefusal({ kind }: BatchRefusal, instanceId: string): ApiError {
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
