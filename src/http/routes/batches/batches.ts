import type { BatchSummary } from "../../../domain/views/batch.ts";
import { assertThere, canSee, getKey } from "../../requests/access.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { decodeCursor, encodeCursor } from "../../answers/cursor.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { ApiError } from "../../answers/problem.ts";
import type { BatchPorts } from "../../context/ports.ts";
import {
  batchListQuery,
  batchListSchema,
  batchParams,
  batchSchema,
  changedCountSchema,
  itemListQuery,
  itemListSchema,
  toBatch,
  toBatchItem,
  toBatchSummary,
} from "../../schemas/batch.ts";

const read = { scopes: ["read"] } as const;
const enqueue = { scopes: ["enqueue"] } as const;

/** `/v1/batches`, but for what makes or streams them. */
export function addBatchRoutes(api: ZodApi, { ports }: ApiContext): void {
  const { batches } = ports;

  api.get(
    "/v1/batches",
    {
      config: { access: read },
      schema: {
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
      },
    },
    async (request, reply) => {
      const key = getKey(request);
      const { instanceId, state, refreshes, cursor, limit } = request.query;
      await assertThere(key, instanceId, ports.instances.find);
      const filter = {
        instanceIds: instanceId === undefined ? key.instanceIds : [instanceId],
        states: state,
        withRefreshes: refreshes ?? false,
      };
      const page = await batches.list(filter, { after: decodeCursor(cursor), limit });
      return reply.type("application/json").send({
        items: page.items.map(toBatchSummary),
        next: page.next === undefined ? null : encodeCursor(page.next),
      });
    },
  );

  api.get(
    "/v1/batches/:id",
    {
      config: { access: read },
      schema: {
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
      },
    },
    async (request, reply) => {
      await getVisibleBatch(batches, request);
      const batch = await batches.find(request.params.id);
      if (!batch) throw noBatch();
      return reply.type("application/json").send(toBatch(batch));
    },
  );

  api.get(
    "/v1/batches/:id/items",
    {
      config: { access: read },
      schema: {
        ...describe({
          id: "listBatchItems",
          tag: "Batches",
          summary: "The contacts of a batch.",
          access: read,
        }),
        params: batchParams,
        querystring: itemListQuery,
        response: {
          200: answer("A page, in no particular order but a stable one.", itemListSchema),
          ...problems(read, "invalid-request", "invalid-cursor", "not-found"),
        },
      },
    },
    async (request, reply) => {
      await getVisibleBatch(batches, request);
      const { status, cursor, limit } = request.query;
      const page = await batches.listItems(request.params.id, status, { after: decodeCursor(cursor), limit });
      // A list that ends must be whole: the batch may have been removed while it was read.
      if (page.next === undefined) await getVisibleBatch(batches, request);
      return reply.type("application/json").send({
        items: page.items.map(toBatchItem),
        next: page.next === undefined ? null : encodeCursor(page.next),
      });
    },
  );

  for (const [action, summary, description] of [
    [
      "cancel",
      "Stop waiting for the contacts of a batch.",
      "Contacts that another batch waits for are asked all the same. Calls in flight are not taken back, and their answers are kept.",
    ],
    [
      "retry",
      "Ask again for all contacts of a batch without a clear answer.",
      "In the same batch, which may be done or cancelled. Contacts that still wait are left as they are.",
    ],
  ] as const) {
    api.post(
      `/v1/batches/:id/${action}`,
      {
        config: { access: enqueue },
        schema: {
          ...describe({ id: `${action}Batch`, tag: "Batches", summary, description, access: enqueue }),
          params: batchParams,
          response: {
            200: answer("Done, and how many contacts it concerned.", changedCountSchema),
            ...problems(enqueue, "invalid-request", "not-found"),
          },
        },
      },
      async (request, reply) => {
        const { batchId } = await getVisibleBatch(batches, request);
        const contacts = await batches[action](batchId);
        return reply.type("application/json").send({ id: batchId, contacts });
      },
    );
  }
}

/** @throws ApiError `not-found`, also where the key may not see its instance */
export async function getVisibleBatch(
  batches: BatchPorts,
  request: { readonly params: { readonly id: string } } & Parameters<typeof getKey>[0],
): Promise<BatchSummary> {
  const key = getKey(request);
  const batch = await batches.findSummary(request.params.id);
  if (!batch || !canSee(key, batch.instanceId)) throw noBatch();
  return batch;
}

function noBatch(): ApiError {
  return new ApiError("not-found", "there is no such batch");
}
