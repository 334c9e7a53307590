import { and, asc, eq, isNull, lt, or, sql } from "drizzle-orm";
import type { ApiKey, ApiScope, StoredApiKey } from "../../domain/api-key.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { Database } from "../postgres/database.ts";
import { apiKeys } from "../schema/api-keys.ts";
import { toStorableText } from "../postgres/storable-text.ts";

export type NewApiKey = Pick<
  StoredApiKey,
  "id" | "label" | "scopes" | "instanceIds" | "expiresAt" | "secretHmac"
>;

/** Stores a key. Returns it as it is stored. */
export async function createApiKey({ orm }: Database, key: NewApiKey): Promise<StoredApiKey> {
  const rows = await orm
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
  return toApiKey(rows[0]!);
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

/** Revokes a key for ever; the moment of the first time stays. False: there is none with this id. */
export async function revokeApiKey({ orm }: Database, id: string): Promise<boolean> {
  const { rowCount } = await orm
    .update(apiKeys)
    .set({ revokedAt: sql`coalesce(${apiKeys.revokedAt}, now())` })
    .where(eq(apiKeys.id, id));
  return rowCount === 1;
}

/** Notes that the key was used now. Within a minute of the use that is noted another costs no write. */
export async function noteApiKeyUse({ orm }: Database, id: string): Promise<void> {
  const isOld = lt(apiKeys.lastUsedAt, sql`now() - interval '1 minute'`);
  await orm
    .update(apiKeys)
    .set({ lastUsedAt: sql`now()` })
    .where(and(eq(apiKeys.id, id), or(isNull(apiKeys.lastUsedAt), isOld)));
}

function toApiKey(row: typeof apiKeys.$inferSelect): StoredApiKey {
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
