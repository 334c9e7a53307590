import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { toOrigin } from "../api-url.ts";

/** Seals secrets for the database: AES-256-GCM, bound to where they may go, so that rows cannot be swapped or redirected. */
export interface SecretBox {
  /** `v2.<nonce>.<ciphertext>.<tag>`, base64url. */
  seal(secret: string, context: SealContext): string;
  /** Undefined where the box was sealed with another key, for another context, or is damaged. */
  open(sealed: string, context: SealContext): string | undefined;
}

/** Whose secret it is, and where alone it may be sent: to the origin of `apiUrl`, whatever the path. */
export interface SealContext {
  readonly id: string;
  readonly apiUrl: string;
}

const version = "v2";
/** Bound to the id alone, and not to an origin: still opened, and no more sealed. */
const firstVersion = "v1";
const nonceBytes = 12;

/** Is it from before secrets were bound to an origin? Then it is to be sealed anew. Only a writer of rows could make one. */
export function isSealedBefore(sealed: string): boolean {
  return sealed.startsWith(`${firstVersion}.`);
}

/** @param key 32 bytes */
export function createSecretBox(key: Uint8Array): SecretBox {
  return {
    seal(secret, context) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(toBound(version, context));
      const sealed = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return [version, nonce, sealed, cipher.getAuthTag()]
        .map((part) => (typeof part === "string" ? part : part.toString("base64url")))
        .join(".");
    },
    open(sealed, context) {
      const [prefix = "", nonce, body, tag] = sealed.split(".");
      if (![version, firstVersion].includes(prefix) || !nonce || body === undefined || !tag) return undefined;
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64url"), {
          authTagLength: 16,
        })
          .setAAD(toBound(prefix, context))
          .setAuthTag(Buffer.from(tag, "base64url"));
        return decipher.update(body, "base64url", "utf8") + decipher.final("utf8");
      } catch {
        return undefined;
      }
    },
  };
}

/** The second form holds the version, and no id is a list: neither form passes for the other. */
function toBound(sealVersion: string, { id, apiUrl }: SealContext): Buffer {
  return Buffer.from(sealVersion === firstVersion ? id : JSON.stringify([sealVersion, id, toOrigin(apiUrl)]));
}
