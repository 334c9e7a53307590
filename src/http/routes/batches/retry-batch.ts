import type { Actor } from "../../../domain/audit.ts";
import { toActor } from "../../requests/actor.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { batchParams, changedCountSchema } from "../../schemas/batch.ts";
import { getVisibleBatch, type FindsBatch } from "./visible-batch.ts";

interface RetryBatchPorts {
  readonly batches: FindsBatch & {
    /** Asks again for all contacts without a clear answer that is fresh enough. Returns how many. */
    retry(batchId: string, by: Actor): Promise<number>;
  };
}

const enqueue = { scopes: ["enqueue"] } as const;

const retryBatchSchema = {
  ...describe({
    id: "retryBatch",
    tag: "Batches",
    summary: "Ask again for all contacts of a batch without a clear answer.",
    description:
      "In the same batch, which may be done or cancelled. Contacts that still wait are left as they are.",
    access: enqueue,
  }),
  params: batchParams,
  response: {
    200: answer("Done, and how many contacts it concerned.", changedCountSchema),
    ...problems(enqueue, "invalid-request", "not-found"),
  },
};

/** `POST /v1/batches/{id}/retry` */
export function addRetryBatch(api: ZodApi, { ports }: ApiContext<RetryBatchPorts>): void {
  const { batches } = ports;
  api.post(
    "/v1/batches/:id/retry",
    { config: { access: enqueue }, schema: retryBatchSchema },
    async (request, reply) => {
      const { batchId } = await getVisibleBatch(batches, request);
      const contacts = await batches.retry(batchId, toActor(request));
      return reply.type("application/json").send({ id: batchId, contacts });
    },
  );
}
