import type pg from "pg";
import type { AuditEntry } from "../../domain/audit.ts";
import type { Asker, NewBatch, RequestedBatch } from "../../domain/requests/batch-request.ts";
import { recordAudit } from "../audit/record-audit.ts";
import { toStorableText } from "../postgres/storable-text.ts";

/** `exists`: it was opened before, with the same id. */
export type BatchOpening =
  | { readonly kind: "opened"; readonly requestedAt: Date }
  | { readonly kind: "exists" }
  | { readonly kind: "unknown-instance" };

/**
 * Opens a batch under an id that the caller has made, so that to do it again does nothing. Waits for another transaction that
 * opens it at the same time.
 * @param rejected the number of lines that are no contacts, where the whole input is known; undefined: it is still to come
 */
export async function openBatch(
  client: pg.PoolClient,
  batchId: string,
  { apiKeyId, by }: Asker,
  batch: RequestedBatch,
  rejected: number | undefined,
): Promise<BatchOpening> {
  const { rows } = await client.query<{ requested_at: Date }>(
    `insert into avatars.batches
       (id, instance_id, source, label, priority, fresh_after, callback_url, api_key_id, completed_intake_at, rejected)
     select $1, i.id, $3, $4, $5, now() - $6::float8 * interval '1 ms', $7, $8,
       case when $9::integer is not null then now() end, coalesce($9::integer, 0)
     from avatars.instances i where i.id = $2
     on conflict (id) do nothing returning requested_at`,
    [
      batchId,
      batch.instanceId,
      batch.source,
      batch.label === undefined ? null : toStorableText(batch.label),
      batch.priority,
      batch.maxAgeMs,
      batch.callbackUrl === undefined ? null : toStorableText(batch.callbackUrl),
      apiKeyId,
      rejected,
    ],
  );
  if (rows[0]) {
    await recordAudit(client, by, toCreationEntry(batchId, batch));
    return { kind: "opened", requestedAt: rows[0].requested_at };
  }
  const { rowCount } = await client.query(`select from avatars.batches where id = $1`, [batchId]);
  return { kind: rowCount ? "exists" : "unknown-instance" };
}

/** A label is left out: it may be the name of a file, or of a person. */
export function toCreationEntry(batchId: string, { instanceId, source, priority }: NewBatch): AuditEntry {
  return { action: "batch.created", subjectId: batchId, instanceId, detail: { source, priority } };
}
