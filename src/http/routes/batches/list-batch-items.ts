import { decodeCursor, encodeCursor } from "../../answers/cursor.ts";
import type { Page, PageRequest } from "../../../domain/page.ts";
import type { BatchItem } from "../../../domain/views/batch.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { batchParams, itemListQuery, itemListSchema, toBatchItem } from "../../schemas/batch.ts";
import { getVisibleBatch, type FindsBatch } from "./visible-batch.ts";

interface ListItemsPorts {
  readonly batches: FindsBatch & {
    listItems(
      batchId: string,
      statuses: readonly BatchItem["status"][] | undefined,
      page: PageRequest,
    ): Promise<Page<BatchItem>>;
  };
}

const read = { scopes: ["read"] } as const;

const listBatchItemsSchema = {
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
};

/** `GET /v1/batches/{id}/items` */
export function addListBatchItems(api: ZodApi, { ports }: ApiContext<ListItemsPorts>): void {
  const { batches } = ports;
  api.get(
    "/v1/batches/:id/items",
    { config: { access: read }, schema: listBatchItemsSchema },
    async (request, reply) => {
      const { instanceId } = await getVisibleBatch(batches, request);
      request.contactsOf = instanceId;
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
}
