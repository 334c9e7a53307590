import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/** Seals secrets for the database: AES-256-GCM, bound to a context so that rows cannot be swapped. */
export interface SecretBox {
  /** `v1.<nonce>.<ciphertext>.<tag>`, base64url. */
  seal(secret: string, context: string): string;
  /** Undefined where the box was sealed with another key, for another context, or is damaged. */
  open(sealed: string, context: string): string | undefined;
}

const version = "v1";
const nonceBytes = 12;

/** @param key 32 bytes */
export function createSecretBox(key: Uint8Array): SecretBox {
  return {
    seal(secret, context) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return [version, nonce, sealed, cipher.getAuthTag()]
        .map((part) => (typeof part === "string" ? part : part.toString("base64url")))
        .join(".");
    },
    open(sealed, context) {
      const [prefix, nonce, body, tag] = sealed.split(".");
      if (prefix !== version || !nonce || body === undefined || !tag) return undefined;
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64url"), {
          authTagLength: 16,
        })
          .setAAD(Buffer.from(context))
          .setAuthTag(Buffer.from(tag, "base64url"));
        return decipher.update(body, "base64url", "utf8") + decipher.final("utf8");
      } catch {
        return undefined;
      }
    },
  };
}
