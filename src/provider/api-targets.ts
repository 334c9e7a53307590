import { trimEndSlashes } from "../lib/api-url.ts";
import type { InstanceCredentials } from "../domain/outcome.ts";

/** Where a method of an instance is called. */
export interface ApiTarget {
  readonly origin: string;
  readonly path: string;
}

/**
 * The methods of GREEN-API that are called: https://green-api.com/en/docs/api/service/GetAvatar,
 * https://green-api.com/en/docs/api/account/GetStateInstance, https://green-api.com/en/docs/api/service/GetContacts.
 */
export type MethodName = "getAvatar" | "getStateInstance" | "getContacts";

interface KnownTarget extends InstanceCredentials {
  readonly target: ApiTarget;
}

/** To read a URL costs some microseconds a call; a process works for far fewer instances than this. */
const maxKnown = 1_000;

/**
 * Finds where `method` of an instance is called, and keeps it while the instance's credentials stay the same.
 * @throws TypeError where the instance's URL is none
 */
export function createApiTargets(method: MethodName): (instance: InstanceCredentials) => ApiTarget {
  const knownTargets = new Map<string, KnownTarget>();
  return ({ instanceId, apiUrl, token }) => {
    const known = knownTargets.get(instanceId);
    if (known?.apiUrl === apiUrl && known.token === token) return known.target;
    const { origin, pathname } = new URL(apiUrl);
    const prefix = trimEndSlashes(pathname);
    const path = `${prefix}/waInstance${encodeURIComponent(instanceId)}/${method}/${encodeURIComponent(token)}`;
    const target = { origin, path };
    if (knownTargets.size >= maxKnown) knownTargets.clear();
    knownTargets.set(instanceId, { instanceId, apiUrl, token, target });
    return target;
  };
}
