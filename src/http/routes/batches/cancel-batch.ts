import type { Actor } from "../../../domain/audit.ts";
import { toActor } from "../../requests/actor.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { batchParams, changedCountSchema } from "../../schemas/batch.ts";
import { getVisibleBatch, type FindsBatch } from "./visible-batch.ts";

interface CancelBatchPorts {
  readonly batches: FindsBatch & {
    /** Ends the batch: it waits for its contacts no more, but another batch may. Returns how many were given up. */
    cancel(batchId: string, by: Actor): Promise<number>;
  };
}

const enqueue = { scopes: ["enqueue"] } as const;

const cancelBatchSchema = {
  ...describe({
    id: "cancelBatch",
    tag: "Batches",
    summary: "Stop waiting for the contacts of a batch.",
    description:
      "Contacts that another batch waits for are asked all the same. Calls in flight are not taken back, and their answers are kept.",
    access: enqueue,
  }),
  params: batchParams,
  response: {
    200: answer("Done, and how many contacts it concerned.", changedCountSchema),
    ...problems(enqueue, "invalid-request", "not-found"),
  },
};

/** `POST /v1/batches/{id}/cancel` */
export function addCancelBatch(api: ZodApi, { ports }: ApiContext<CancelBatchPorts>): void {
  const { batches } = ports;
  api.post(
    "/v1/batches/:id/cancel",
    { config: { access: enqueue }, schema: cancelBatchSchema },
    async (request, reply) => {
      const { batchId } = await getVisibleBatch(batches, request);
      const contacts = await batches.cancel(batchId, toActor(request));
      return reply.type("application/json").send({ id: batchId, contacts });
    },
  );
}
