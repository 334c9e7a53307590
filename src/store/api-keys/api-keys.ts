import { and, asc, eq, isNull, lt, or, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import type { Actor, AuditDetail } from "../../domain/audit.ts";
import type { ApiKey, ApiScope, StoredApiKey } from "../../domain/api-key.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { recordAudit } from "../audit/record-audit.ts";
import type { Database } from "../postgres/database.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { apiKeys } from "../schema/api-keys.ts";
import { toStorableText } from "../postgres/storable-text.ts";

export type NewApiKey = Pick<
  StoredApiKey,
  "id" | "label" | "scopes" | "instanceIds" | "expiresAt" | "secretHmac"
>;

/**
 * Stores a key. Returns it as it is stored.
 * @param by undefined: the product itself
 */
export async function createApiKey({ pool }: Database, key: NewApiKey, by?: Actor): Promise<StoredApiKey> {
  return inTransaction(pool, async (client) => {
    const rows = await drizzle(client)
      .insert(apiKeys)
      .values({
        id: key.id,
        label: key.label === undefined ? null : toStorableText(key.label),
        scopes: [...key.scopes],
        instanceIds: key.instanceIds === undefined ? null : [...key.instanceIds],
        secretHmac: key.secretHmac,
        expiresAt: key.expiresAt ?? null,
      })
      .returning();
    await recordAudit(client, by, { action: "key.created", subjectId: key.id, detail: toDetail(key) });
    return toApiKey(rows[0]!);
  });
}

function toDetail({ label, scopes, instanceIds, expiresAt }: NewApiKey): AuditDetail {
  return {
    ...(label !== undefined && { label }),
    scopes,
    ...(instanceIds && { instanceIds }),
    ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
  };
}

/** The keys with these ids, in any order, also those that have expired or were revoked. */
export async function findApiKeys({ orm }: Database, ids: readonly string[]): Promise<StoredApiKey[]> {
  // The ids are one parameter, whatever their number: the statement stays the same.
  const rows = await orm
    .select()
    .from(apiKeys)
    .where(sql`${apiKeys.id} = any(${sql.param([...ids])}::text[])`);
  return rows.map(toApiKey);
}

/** All keys, oldest first, with those that have expired or were revoked. */
export async function listApiKeys({ orm }: Database): Promise<ApiKey[]> {
  const rows = await orm.select().from(apiKeys).orderBy(asc(apiKeys.createdAt), asc(apiKeys.id));
  return rows.map((row) => {
    const { secretHmac: _, ...key } = toApiKey(row);
    return key;
  });
}

/**
 * Revokes a key for ever; the moment of the first time stays. False: there is none with this id.
 * @param by undefined: the product itself
 */
export async function revokeApiKey({ pool }: Database, id: string, by?: Actor): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const orm = drizzle(client);
    const isOf = eq(apiKeys.id, id);
    const revoked = await orm
      .update(apiKeys)
      .set({ revokedAt: sql`now()` })
      .where(and(isOf, isNull(apiKeys.revokedAt)))
      .returning({ label: apiKeys.label });
    for (const { label } of revoked)
      await recordAudit(client, by, {
        action: "key.revoked",
        subjectId: id,
        ...(label !== null && { detail: { label } }),
      });
    return revoked.length > 0 || (await orm.$count(apiKeys, isOf)) > 0;
  });
}

/** Notes that the key was used now. Within a minute of the use that is noted another costs no write. */
export async function noteApiKeyUse({ orm }: Database, id: string): Promise<void> {
  const isOld = lt(apiKeys.lastUsedAt, sql`now() - interval '1 minute'`);
  await orm
    .update(apiKeys)
    .set({ lastUsedAt: sql`now()` })
    .where(and(eq(apiKeys.id, id), or(isNull(apiKeys.lastUsedAt), isOld)));
}

/** The key of a row. */
export function toApiKey(row: typeof apiKeys.$inferSelect): StoredApiKey {
  return {
    id: row.id,
    label: row.label ?? undefined,
    // Only `createApiKey` writes scopes.
    scopes: row.scopes as ApiScope[],
    instanceIds: (row.instanceIds as InstanceId[] | null) ?? undefined,
    secretHmac: row.secretHmac,
    createdAt: row.createdAt,
    expiresAt: row.expiresAt ?? undefined,
    revokedAt: row.revokedAt ?? undefined,
    lastUsedAt: row.lastUsedAt ?? undefined,
  };
}
