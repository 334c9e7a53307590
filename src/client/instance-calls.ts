import { iteratePages, toJsonBody, type Caller } from "./caller.ts";
import type { Client, Removed } from "./client.ts";

export type InstanceCalls = Pick<
  Client,
  | "listInstances"
  | "getInstance"
  | "getStatus"
  | "addInstance"
  | "changeInstance"
  | "pauseInstance"
  | "resumeInstance"
  | "removeInstance"
  | "renewHook"
  | "removeHook"
  | "getResyncPlan"
  | "listResyncRuns"
  | "iterateResyncRuns"
>;

/** Adds, changes and removes instances, and tells of their resync. */
export function createInstanceCalls({ ask, send }: Caller): InstanceCalls {
  const calls: InstanceCalls = {
    listInstances: async (call) => ask("listInstances", { options: call }),
    getInstance: async (id, call) => ask("getInstance", { path: { id }, options: call }),
    getStatus: async (filter, call) => ask("getStatus", { query: { ...filter }, options: call }),
    addInstance: async (instance, call) => ask("addInstance", { ...toJsonBody(instance), options: call }),
    changeInstance: async (id, changes, call) =>
      ask("changeInstance", { path: { id }, ...toJsonBody(changes), options: call }),
    pauseInstance: async (id, call) => ask("pauseInstance", { path: { id }, options: call }),
    resumeInstance: async (id, call) => ask("resumeInstance", { path: { id }, options: call }),
    removeInstance: async (id, { contacts, ...call } = {}) =>
      send<Removed>({
        operation: "removeInstance",
        path: { id },
        query: { contacts },
        read: ({ status }) => (status === 202 ? "removing" : "removed"),
        readMissing: () => "removed",
        options: call,
      }),
    renewHook: async (id, call) => ask("renewHook", { path: { id }, options: call }),
    removeHook: async (id, call) =>
      send({
        operation: "removeHook",
        path: { id },
        read: () => undefined,
        readMissing: () => undefined,
        options: call,
      }),
    getResyncPlan: async (filter, call) => ask("getResyncPlan", { query: { ...filter }, options: call }),
    listResyncRuns: async (filter, call) => ask("listResyncRuns", { query: { ...filter }, options: call }),
    iterateResyncRuns: (filter, call) =>
      iteratePages(filter, async (page) => calls.listResyncRuns({ ...filter, ...page }, call)),
  };
  return calls;
}
