import type { InstanceId } from "./instance-id.ts";

/**
 * `enqueue`: ask for avatars. `read`: see contacts, batches and instances. `admin`: change instances, erase contacts.
 * `webhooks`: add, change and remove webhooks. `audit`: see who did what. `keys`: make and
 * revoke keys, with no more rights than its own. None implies another.
 */
export const apiScopes = ["enqueue", "read", "admin", "webhooks", "audit", "keys"] as const;
export type ApiScope = (typeof apiScopes)[number];

/** A key of the HTTP API, without its secret: that is nowhere but with its owner. */
export interface ApiKey {
  /** The part of the token before the dot, public. */
  readonly id: string;
  readonly label: string | undefined;
  readonly scopes: readonly ApiScope[];
  /** Undefined: all instances, also those to come. */
  readonly instanceIds: readonly InstanceId[] | undefined;
  readonly createdAt: Date;
  readonly expiresAt: Date | undefined;
  readonly revokedAt: Date | undefined;
  readonly lastUsedAt: Date | undefined;
}

/** Whether the key opens anything at `now`, and why not. */
export function toKeyState({ revokedAt, expiresAt }: ApiKey, now: Date): "active" | "expired" | "revoked" {
  if (revokedAt) return "revoked";
  return expiresAt && expiresAt <= now ? "expired" : "active";
}

/** A key as the database has it. */
export interface StoredApiKey extends ApiKey {
  /** HMAC-SHA256 of the secret. */
  readonly secretHmac: Buffer;
}
