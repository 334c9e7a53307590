import { and, eq, gt, lt, sql } from "drizzle-orm";
import type { StoredApiKey } from "../../domain/api-key.ts";
import type { Database } from "../postgres/database.ts";
import { apiKeys } from "../schema/api-keys.ts";
import { consoleSessions } from "../schema/console-sessions.ts";
import { toApiKey } from "./api-keys.ts";

/** A session of the console, or a link that opens one. */
export interface NewConsoleToken {
  readonly tokenHash: Buffer;
  readonly kind: "session" | "link";
  readonly apiKeyId: string;
  readonly lifeMs: number;
}

/** Stores the token. Returns when it expires. */
export async function storeConsoleToken(
  { orm }: Database,
  { tokenHash, kind, apiKeyId, lifeMs }: NewConsoleToken,
): Promise<Date> {
  const rows = await orm
    .insert(consoleSessions)
    .values({ tokenHash, kind, apiKeyId, expiresAt: toEnd(lifeMs) })
    .returning({ expiresAt: consoleSessions.expiresAt });
  return rows[0]!.expiresAt;
}

/** Takes a link out, so that it opens nothing again. Returns the id of its key; undefined: there is none, or not any more. */
export async function takeConsoleLink({ orm }: Database, tokenHash: Buffer): Promise<string | undefined> {
  const rows = await orm
    .delete(consoleSessions)
    .where(and(eq(consoleSessions.tokenHash, tokenHash), isLiving("link")))
    .returning({ apiKeyId: consoleSessions.apiKeyId });
  return rows[0]?.apiKeyId;
}

/** The sessions with these hashes that have not ended, in any order, each with its key as it is now. */
export async function findConsoleSessions(
  { orm }: Database,
  tokenHashes: readonly Buffer[],
): Promise<{ readonly tokenHash: Buffer; readonly key: StoredApiKey }[]> {
  // The hashes are one parameter, whatever their number: the statement stays the same.
  const isAsked = sql`${consoleSessions.tokenHash} = any(${sql.param([...tokenHashes])}::bytea[])`;
  const rows = await orm
    .select({ tokenHash: consoleSessions.tokenHash, key: apiKeys })
    .from(consoleSessions)
    .innerJoin(apiKeys, eq(apiKeys.id, consoleSessions.apiKeyId))
    .where(and(isAsked, isLiving("session")));
  return rows.map(({ tokenHash, key }) => ({ tokenHash, key: toApiKey(key) }));
}

/** Ends a session. Twice is harmless. */
export async function endConsoleSession({ orm }: Database, tokenHash: Buffer): Promise<void> {
  await orm.delete(consoleSessions).where(eq(consoleSessions.tokenHash, tokenHash));
}

/** Removes what has expired. */
export async function deleteOldSessions({ orm }: Database): Promise<void> {
  await orm.delete(consoleSessions).where(lt(consoleSessions.expiresAt, sql`now()`));
}

function isLiving(kind: NewConsoleToken["kind"]) {
  return and(eq(consoleSessions.kind, kind), gt(consoleSessions.expiresAt, sql`now()`));
}

function toEnd(lifeMs: number) {
  return sql`now() + ${lifeMs / 1000} * interval '1 second'`;
}
