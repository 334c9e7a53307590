import type pg from "pg";
import type { Actor, AuditEntry } from "../../domain/audit.ts";
import { toStorableText } from "../postgres/storable-text.ts";

const sql = `
insert into avatars.audit
  (actor_kind, actor_id, actor_name, request_id, address, action, subject_id, instance_id, contact_hash, detail)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`;

/**
 * Writes down who did what, in the transaction of `client`: the row is there if what it tells of is.
 * @param by undefined: the product itself, which leaves no row
 */
export async function recordAudit(
  client: Pick<pg.PoolClient, "query">,
  by: Actor | undefined,
  { action, subjectId, instanceId, contactHash, detail = {} }: AuditEntry,
): Promise<void> {
  if (by === undefined) return;
  const key = by.kind === "key" ? by : undefined;
  const name = by.kind === "worker" ? undefined : by.name;
  await client.query(sql, [
    by.kind,
    key?.id ?? null,
    name === undefined ? null : toStorableText(name),
    key?.requestId ?? null,
    key?.address ?? null,
    action,
    subjectId ?? null,
    instanceId ?? null,
    contactHash ?? null,
    JSON.stringify(detail, (_name, value: unknown) =>
      typeof value === "string" ? toStorableText(value) : value,
    ),
  ]);
}
