import type { Actor, AuditEntry, AuditFilter, AuditRecord } from "../../domain/audit.ts";
import type { Page, PageRequest } from "../../domain/page.ts";
import type { Database } from "../postgres/database.ts";
import { listAudit } from "./list-audit.ts";
import { recordAudit } from "./record-audit.ts";

/** The audit log as it is stored. */
export interface AuditStore {
  /** The newest first. A page may be short, or empty, and not the last. @throws UserError `invalid-cursor` */
  list(filter: AuditFilter, page: PageRequest): Promise<Page<AuditRecord>>;
  /** Writes a row for what changes nothing in Postgres. Changes write theirs in their own transaction. */
  record(by: Actor, entry: AuditEntry): Promise<void>;
}

export function createAuditStore({ pool }: Pick<Database, "pool">): AuditStore {
  return {
    list: (filter, page) => listAudit(pool, filter, page),
    record: (by, entry) => recordAudit(pool, by, entry),
  };
}
