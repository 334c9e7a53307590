import type { ApiKey, ApiScope } from "../../domain/api-key.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { ApiError } from "../answers/problem.ts";

/**
 * Who may use a route. `open`: anybody. `key`: any key, also as the password of HTTP Basic, so that a browser can show the
 * documentation. Otherwise a key with all of these scopes; `allInstances`: one that is not limited to some.
 */
export type Access =
  | "open"
  | "key"
  | { readonly scopes: readonly ApiScope[]; readonly allInstances?: boolean; readonly basic?: boolean };

declare module "fastify" {
  interface FastifyContextConfig {
    access?: Access;
    /** Reads its body by itself: of any length, for any time. */
    streams?: boolean;
  }
  interface FastifyRequest {
    /** Undefined on open routes only. */
    apiKey: ApiKey | undefined;
    /** From here on it lasts, and is counted among what lasts: it gives back its place among those at work. */
    leaveWork: () => void;
  }
}

/** The key of a request whose route is not open. */
export function getKey(request: { readonly apiKey: ApiKey | undefined }): ApiKey {
  if (request.apiKey === undefined) throw new Error("a route without a key reads it");
  return request.apiKey;
}

/** @throws ApiError `forbidden` */
export function assertAllowed(key: ApiKey, access: Exclude<Access, string>): void {
  const missing = access.scopes.filter((scope) => !key.scopes.includes(scope));
  if (missing.length > 0) {
    throw new ApiError("forbidden", `this needs a key with the scope ${missing.join(" and ")}`);
  }
  if (access.allInstances && key.instanceIds !== undefined) {
    throw new ApiError("forbidden", "this needs a key that is not limited to some instances");
  }
}

/** Finds an instance; undefined: there is none with this id. */
export type FindInstance = (id: InstanceId) => Promise<InstanceView | undefined>;

/** May the key see the instance? Others do not exist for it. */
export function canSee(key: ApiKey, instanceId: string): boolean {
  return key.instanceIds === undefined || key.instanceIds.includes(instanceId as InstanceId);
}

/** @throws ApiError `not-found` where the key may not see the instance */
export function assertVisible(key: ApiKey, instanceId: string): void {
  if (!canSee(key, instanceId)) throw noInstance(instanceId);
}

/**
 * For what may be asked of one instance, or of all that the key may see.
 * @param find the instance, if there is one
 * @throws ApiError `not-found` where the key may not see the instance, or there is none
 */
export async function assertThere(
  key: ApiKey,
  instanceId: InstanceId | undefined,
  find: FindInstance,
): Promise<void> {
  if (instanceId === undefined) return;
  assertVisible(key, instanceId);
  if (!(await find(instanceId))) throw noInstance(instanceId);
}

export function noInstance(instanceId: string): ApiError {
  return new ApiError("not-found", `there is no instance ${instanceId}`);
}
