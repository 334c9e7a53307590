import { sleep } from "../lib/deadline.ts";
import { createAuditCalls } from "./audit-calls.ts";
import { createBatchCalls } from "./batch-calls.ts";
import type { ClientOptions, Timing } from "./call-options.ts";
import { createCaller } from "./caller.ts";
import type { Client } from "./client.ts";
import { createContactCalls } from "./contact-calls.ts";
import { createInstanceCalls } from "./instance-calls.ts";
import { createWebhookCalls } from "./webhook-calls.ts";
import { createKeyCalls } from "./key-calls.ts";

export { ApiProblem, type ApiProblemCode, type RequestFault } from "./api-problem.ts";
export type { CallOptions, ClientOptions, PageOptions } from "./call-options.ts";
export type * from "./client.ts";
export type * from "./contact-methods.ts";
export type { ChangesOptions } from "./follow-changes.ts";
export type { ContactSource, StreamSource } from "./outgoing-stream.ts";
export type { FollowOptions } from "./watch-batch.ts";
export type * from "./wire.ts";

const systemTiming: Timing = { now: () => performance.now(), random: Math.random, sleep };

/**
 * A client of the HTTP API, for Node.js 20 and browsers. Makes no request by itself.
 * @param timing for tests
 * @throws TypeError for options that cannot be used
 */
export function createClient(options: ClientOptions, timing: Timing = systemTiming): Client {
  const caller = createCaller(options, timing);
  const { ask, send } = caller;
  return {
    ...createBatchCalls(caller),
    ...createContactCalls(caller),
    ...createInstanceCalls(caller),
    ...createAuditCalls(caller),
    ...createWebhookCalls(caller),
    ...createKeyCalls(caller),
    getHealth: async (call) => ask("getHealth", { options: call }),
    getReadiness: async (call) => ask("getReadiness", { expects: 503, options: call }),
    getMetrics: async (call) =>
      send({ operation: "getMetrics", read: async (response) => response.text(), options: call }),
  };
}
