import type { ApiKey, ApiScope } from "../domain/api-key.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { createApiToken, createSecretHmac } from "../lib/secrets/api-token.ts";
import type { Base } from "./base.ts";
import { createApiKey, listApiKeys, revokeApiKey } from "../store/api-keys/api-keys.ts";

export interface ApiKeyWish {
  readonly label?: string | undefined;
  readonly scopes: readonly ApiScope[];
  /** Undefined: all instances, also those to come. */
  readonly instanceIds?: readonly InstanceId[] | undefined;
  readonly expiresInMs?: number | undefined;
}

/** The keys of the HTTP API. */
export interface ApiKeys {
  /** Returns the token too: it can never be read again. @throws UserError `no-secret-key` */
  create(wish: ApiKeyWish): Promise<{ readonly token: string; readonly key: ApiKey }>;
  list(): Promise<ApiKey[]>;
  /** False: there is no such key. */
  revoke(id: string): Promise<boolean>;
}

export function createApiKeys({ database, secretKey }: Base): ApiKeys {
  return {
    async create({ label, scopes, instanceIds, expiresInMs }) {
      const { id, secret, token } = createApiToken();
      const secretHmac = createSecretHmac(secretKey())(secret);
      const expiresAt = expiresInMs === undefined ? undefined : new Date(Date.now() + expiresInMs);
      const { secretHmac: _, ...key } = await createApiKey(database, {
        id,
        label,
        scopes,
        instanceIds,
        expiresAt,
        secretHmac,
      });
      return { token, key };
    },
    list: () => listApiKeys(database),
    revoke: (id) => revokeApiKey(database, id),
  };
}
