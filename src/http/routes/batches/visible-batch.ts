import type { BatchSummary } from "../../../domain/views/batch.ts";
import { ApiError } from "../../answers/problem.ts";
import { canSee, getKey } from "../../requests/access.ts";

/** The port by which a route finds the batch that a request names. */
export interface FindsBatch {
  /** Finds a batch without counting its members. Undefined: there is no such batch. */
  findSummary(batchId: string): Promise<BatchSummary | undefined>;
}

/**
 * The batch that a request names.
 * @throws ApiError `not-found`, also where the key may not see its instance
 */
export async function getVisibleBatch(
  batches: FindsBatch,
  request: { readonly params: { readonly id: string } } & Parameters<typeof getKey>[0],
): Promise<BatchSummary> {
  const key = getKey(request);
  const batch = await batches.findSummary(request.params.id);
  if (!batch || !canSee(key, batch.instanceId)) throw noBatch();
  return batch;
}

/** The answer where there is no such batch, or none that the key may see. */
export function noBatch(): ApiError {
  return new ApiError("not-found", "there is no such batch");
}
