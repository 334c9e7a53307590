import type { ApiKey, ApiScope } from "../../domain/api-key.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { ApiError } from "../answers/problem.ts";

/**
 * The access to a route. `open`: no key is needed. `key`: any key, also as the password of HTTP Basic, so that a browser can
 * show the documentation. `hook`: the secret of an instance's hook (authenticate-hook.ts). Otherwise a key with all of these scopes; `allInstances`: one that is not limited to some.
 */
export type Access =
  | "open"
  | "key"
  | "hook"
  | { readonly scopes: readonly ApiScope[]; readonly allInstances?: boolean; readonly basic?: boolean };

declare module "fastify" {
  interface FastifyContextConfig {
    access?: Access;
    /** The route reads its body by itself: of any length, for any time. */
    streams?: boolean;
    /**
     * Not for sessions: a stream with numbers in it, or an answer that tells which numbers are known, so that they can be tried. Routes
     * with a chat id in their path never are.
     */
    holdsNumbers?: boolean;
  }
  interface FastifyRequest {
    /** The key of the request; undefined on open routes only. */
    apiKey: ApiKey | undefined;
    /** True: the key is that of a session of the console, whose page is in a browser. */
    isConsole: boolean;
    /** Gives the place among requests at work back: from here on the request lasts, and counts among those that do. */
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

/** Tells whether the key may see the instance: others do not exist for it. */
export function canSee(key: ApiKey, instanceId: string): boolean {
  return key.instanceIds === undefined || key.instanceIds.includes(instanceId as InstanceId);
}

/** @throws ApiError `not-found` where the key may not see the instance */
export function assertVisible(key: ApiKey, instanceId: string): void {
  if (!canSee(key, instanceId)) throw noInstance(instanceId);
}

/**
 * Checks the instance of a request that may be about one instance, or about all that the key may see.
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
