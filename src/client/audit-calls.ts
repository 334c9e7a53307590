import { iteratePages, toJsonBody, type Caller } from "./caller.ts";
import type { Client } from "./client.ts";

export type AuditCalls = Pick<Client, "listAudit" | "iterateAudit" | "noteReveal">;

/** Reads the audit log, and has it tell what is shown. */
export function createAuditCalls({ ask, send }: Caller): AuditCalls {
  const calls: AuditCalls = {
    listAudit: async (filter, call) => ask("listAudit", { query: { ...filter }, options: call }),
    iterateAudit: (filter, call) =>
      iteratePages(filter, async (page) => calls.listAudit({ ...filter, ...page }, call)),
    noteReveal: async (reveal, call) =>
      send({ operation: "noteReveal", ...toJsonBody(reveal), read: () => undefined, options: call }),
  };
  return calls;
}
