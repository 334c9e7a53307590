import { decodeCursor, encodeCursor } from "../../answers/cursor.ts";
import type { Page, PageRequest } from "../../../domain/page.ts";
import type { BatchFilter, BatchSummary } from "../../../domain/views/batch.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertThere, getKey, type FindInstance } from "../../requests/access.ts";
import { batchListQuery, batchListSchema, toBatchSummary } from "../../schemas/batch.ts";

interface ListBatchesPorts {
  readonly batches: { list(filter: BatchFilter, page: PageRequest): Promise<Page<BatchSummary>> };
  readonly instances: { readonly find: FindInstance };
}

const read = { scopes: ["read"] } as const;

const listBatchesSchema = {
  ...describe({
    id: "listBatches",
    tag: "Batches",
    summary: "Batches, newest first.",
    description: "Of every source: this API, files, SQL, BullMQ.",
    access: read,
  }),
  querystring: batchListQuery,
  response: {
    200: answer("A page.", batchListSchema),
    ...problems(read, "invalid-request", "invalid-cursor", "not-found"),
  },
};

/** `GET /v1/batches` */
export function addListBatches(api: ZodApi, { ports }: ApiContext<ListBatchesPorts>): void {
  api.get("/v1/batches", { config: { access: read }, schema: listBatchesSchema }, async (request, reply) => {
    const key = getKey(request);
    const { instanceId, state, refreshes, cursor, limit } = request.query;
    await assertThere(key, instanceId, ports.instances.find);
    const filter = {
      instanceIds: instanceId === undefined ? key.instanceIds : [instanceId],
      states: state,
      withRefreshes: refreshes ?? false,
    };
    const page = await ports.batches.list(filter, { after: decodeCursor(cursor), limit });
    return reply.type("application/json").send({
      items: page.items.map(toBatchSummary),
      next: page.next === undefined ? null : encodeCursor(page.next),
    });
  });
}
