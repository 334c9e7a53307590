import type { ApiKey } from "../../../domain/api-key.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { WebhookEndpoint } from "../../../domain/webhooks/webhook-endpoint.ts";
import { UserError } from "../../../lib/errors.ts";
import { ApiError } from "../../answers/problem.ts";
import { canSee } from "../../requests/access.ts";

export const webhooksScope = { scopes: ["webhooks"] } as const;

export interface FindWebhook {
  /** Undefined: there is no such endpoint. */
  find(id: string): Promise<WebhookEndpoint | undefined>;
}

/** May the key see an endpoint of these instances? Undefined are all: those are for keys that see all. */
export function seesInstances(key: ApiKey, instanceIds: readonly InstanceId[] | undefined): boolean {
  if (key.instanceIds === undefined) return true;
  return instanceIds !== undefined && instanceIds.every((id) => canSee(key, id));
}

/** @throws ApiError `not-found` where there is none, or the key may not see all of its instances */
export async function getVisibleWebhook(
  key: ApiKey,
  id: string,
  webhooks: FindWebhook,
): Promise<WebhookEndpoint> {
  const endpoint = await webhooks.find(id);
  if (endpoint === undefined || !seesInstances(key, endpoint.instanceIds)) throw noWebhook(id);
  return endpoint;
}

export function noWebhook(id: string): ApiError {
  return new ApiError("not-found", `there is no webhook ${id}`);
}

/** @throws ApiError `not-found` for instances that the key may not see, `forbidden` for all instances */
export function assertInstances(key: ApiKey, instanceIds: readonly InstanceId[] | null | undefined): void {
  if (instanceIds === undefined || seesInstances(key, instanceIds ?? undefined)) return;
  const hidden = instanceIds?.find((id) => !canSee(key, id));
  if (hidden !== undefined) throw new ApiError("not-found", `there is no instance ${hidden}`);
  throw new ApiError("forbidden", "this key is limited to some instances: name them in instanceIds");
}

/** Waits for `work`, whose errors of a user are problems of the request. */
export async function orRefused<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (error.code === "webhook-url") {
      const errors = [{ path: "/url", message: error.message }];
      throw new ApiError("invalid-request", error.message, { errors, cause: error });
    }
    throw new ApiError("conflict", error.message, { cause: error });
  }
}
