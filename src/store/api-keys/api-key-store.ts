import type { Actor } from "../../domain/audit.ts";
import type { ApiKey, StoredApiKey } from "../../domain/api-key.ts";
import type { Database } from "../postgres/database.ts";
import { findApiKeys, listApiKeys, revokeApiKey } from "./api-keys.ts";

/** API keys as they are stored. */
export interface ApiKeyStore {
  /** The oldest first, with those that have expired or were revoked. */
  list(): Promise<ApiKey[]>;
  /** In any order; ids without a key are left out. At most 1,000 at once. */
  findMany(ids: readonly string[]): Promise<StoredApiKey[]>;
  /** False: there is no such key. */
  revoke(id: string, by: Actor): Promise<boolean>;
}

export function createApiKeyStore(database: Database): ApiKeyStore {
  return {
    list: () => listApiKeys(database),
    findMany: (ids) => findApiKeys(database, ids),
    revoke: (id, by) => revokeApiKey(database, id, by),
  };
}
