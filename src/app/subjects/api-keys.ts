import type { Actor } from "../../domain/audit.ts";
import type { ApiKey, ApiScope } from "../../domain/api-key.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { once } from "../../lib/closing/once.ts";
import { createApiToken, createSecretHmac } from "../../lib/secrets/api-token.ts";
import { createApiKeyStore, type ApiKeyStore } from "../../store/api-keys/api-key-store.ts";
import { createApiKey, noteApiKeyUse } from "../../store/api-keys/api-keys.ts";
import type { Door } from "./door.ts";

export interface ApiKeyWish {
  readonly label?: string | undefined;
  readonly scopes: readonly ApiScope[];
  /** The instances that the key is limited to; undefined: all, also those to come. */
  readonly instanceIds?: readonly InstanceId[] | undefined;
  readonly expiresInMs?: number | undefined;
}

/** The keys of the HTTP API, for the command line and the API. */
export interface ApiKeys extends ApiKeyStore {
  /** Returns the token too: it can never be read again. @throws UserError `no-secret-key` */
  create(wish: ApiKeyWish, by: Actor): Promise<{ readonly token: string; readonly key: ApiKey }>;
  /** HMAC-SHA256 of a secret, by this installation's key. @throws UserError `no-secret-key` */
  hmac(secret: string): Buffer;
  /** Notes that the key was used, at most once a minute each. Never rejects. */
  noteUse(key: ApiKey): void;
}

const useIntervalMs = 60_000;

export function createApiKeys({ quick, secretKey }: Pick<Door, "quick" | "secretKey">): ApiKeys {
  const getHmac = once(() => createSecretHmac(secretKey()));
  const notedUntil = new Map<string, number>();
  return {
    ...createApiKeyStore(quick),
    hmac: (secret) => getHmac()(secret),
    async create({ label, scopes, instanceIds, expiresInMs }, by) {
      const { id, secret, token } = createApiToken();
      const secretHmac = getHmac()(secret);
      const expiresAt = expiresInMs === undefined ? undefined : new Date(Date.now() + expiresInMs);
      const stored = await createApiKey(quick, { id, label, scopes, instanceIds, expiresAt, secretHmac }, by);
      const { secretHmac: _, ...key } = stored;
      return { token, key };
    },
    // The note is for people: a request does not wait for it, nor fail with it.
    noteUse({ id }) {
      const now = performance.now();
      if (now < (notedUntil.get(id) ?? 0)) return;
      notedUntil.set(id, now + useIntervalMs);
      noteApiKeyUse(quick, id).catch(() => undefined);
    },
  };
}
