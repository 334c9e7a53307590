import { toJsonBody, type Caller } from "./caller.ts";
import type { OperatorMethods } from "./operator-methods.ts";

/** Makes, lists and revokes keys of the API. */
export function createKeyCalls({ ask, send }: Caller): Omit<OperatorMethods, "getStatus"> {
  return {
    listKeys: async (call) => ask("listKeys", { options: call }),
    getOwnKey: async (call) => ask("getOwnKey", { options: call }),
    addKey: async (key, call) => ask("addKey", { ...toJsonBody(key), options: call }),
    revokeKey: async (id, call) =>
      send({ operation: "revokeKey", path: { id }, read: () => undefined, options: call }),
  };
}
