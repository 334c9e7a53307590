import { createHmac, randomBytes } from "node:crypto";

/** Of Standard Webhooks, which asks for 24 to 64 bytes. */
const secretBytes = 32;
const prefix = "whsec_";

/** A new secret as receivers take it: `whsec_` and 32 random bytes in base64. */
export function createWebhookSecret(): string {
  return `${prefix}${randomBytes(secretBytes).toString("base64")}`;
}

/** The secret that callbacks of batches are signed with, of one API key: the same as long as AVATARS_SECRET_KEY is. */
export function deriveCallbackSecret(key: Uint8Array, apiKeyId: string): string {
  const derived = createHmac("sha256", key).update(`callbacks of API key ${apiKeyId}`).digest();
  return `${prefix}${derived.toString("base64")}`;
}

/**
 * The header `webhook-signature`: of each secret `v1,` and the HMAC-SHA256 of `id.timestamp.body`, with blanks between them.
 * @param sentAtS seconds since 1970
 */
export function signWebhook(secrets: readonly string[], id: string, sentAtS: number, body: string): string {
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice(prefix.length), "base64");
      return `v1,${createHmac("sha256", key).update(`${id}.${sentAtS}.${body}`).digest("base64")}`;
    })
    .join(" ");
}
