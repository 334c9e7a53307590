import type { InstanceId } from "./instance-id.ts";

/**
 * `enqueue`: ask for avatars. `read`: see contacts, batches and instances. `admin`: change instances, erase contacts.
 * `webhooks`: add, change and remove webhooks. `audit`: see who did what. None implies another.
 */
export const apiScopes = ["enqueue", "read", "admin", "webhooks", "audit"] as const;
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

/** A key as the database has it. */
export interface StoredApiKey extends ApiKey {
  /** HMAC-SHA256 of the secret. */
  readonly secretHmac: Buffer;
}
