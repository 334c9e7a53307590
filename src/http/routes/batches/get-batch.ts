import type { BatchReport } from "../../../domain/views/batch.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { batchParams, batchSchema, toBatch } from "../../schemas/batch.ts";
import { getVisibleBatch, noBatch, type FindsBatch } from "./visible-batch.ts";

interface GetBatchPorts {
  readonly batches: FindsBatch & {
    /** Counted a moment ago. */
    find(batchId: string): Promise<BatchReport | undefined>;
  };
}

const read = { scopes: ["read"] } as const;

const getBatchSchema = {
  ...describe({
    id: "getBatch",
    tag: "Batches",
    summary: "Where a batch stands.",
    description:
      "Counting a large batch takes time: its counts may be some seconds old. To follow it, `GET /batches/{id}/events` is cheaper.",
    access: read,
  }),
  params: batchParams,
  response: {
    200: answer("The batch.", batchSchema),
    ...problems(read, "invalid-request", "not-found"),
  },
};

/** `GET /v1/batches/{id}` */
export function addGetBatch(api: ZodApi, { ports }: ApiContext<GetBatchPorts>): void {
  const { batches } = ports;
  api.get("/v1/batches/:id", { config: { access: read }, schema: getBatchSchema }, async (request, reply) => {
    await getVisibleBatch(batches, request);
    const batch = await batches.find(request.params.id);
    if (!batch) throw noBatch();
    return reply.type("application/json").send(toBatch(batch));
  });
}
