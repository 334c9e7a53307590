import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";

/** Digits and lower-case letters without those that look like others (i, l, o, u): 32, five bits each. */
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const idLength = 12;
const secretBytes = 32;
/** 32 bytes in base64url are 43 characters. */
const pattern = /^avk_([0-9a-hjkmnp-tv-z]{12})\.([\w-]{43})$/;
const maxLength = 64;
const hmacBytes = 32;

/** The two parts of `avk_<id>.<secret>`. */
export interface ApiToken {
  /** Public: 12 characters. */
  readonly id: string;
  /** 43 characters, kept nowhere but with the token's owner. */
  readonly secret: string;
}

/** @param random as many random bytes as it is asked for */
export function createApiToken(
  random: (size: number) => Buffer = randomBytes,
): ApiToken & { readonly token: string } {
  const id = Array.from(random(idLength), (byte) => alphabet.charAt(byte % alphabet.length)).join("");
  const secret = random(secretBytes).toString("base64url");
  return { id, secret, token: `avk_${id}.${secret}` };
}

/** Undefined where `text` is no token. */
export function parseApiToken(text: string): ApiToken | undefined {
  if (text.length > maxLength) return undefined;
  const [, id, secret] = pattern.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/**
 * HMAC-SHA256 of secrets of one purpose, by a key of its own that is derived from the installation's.
 * @param key AVATARS_SECRET_KEY, 32 bytes
 */
export function createSecretHmac(
  key: Uint8Array,
  purpose: "secrets of API keys" | "secrets of hooks" = "secrets of API keys",
): (secret: string) => Buffer {
  const derived = Buffer.from(hkdfSync("sha256", key, "", `contact-avatars: ${purpose}`, 32));
  return (secret) => createHmac("sha256", derived).update(secret).digest();
}

const noSecret = Buffer.alloc(hmacBytes);

/**
 * Are the two the same? It takes the same time whatever they are.
 * @param stored undefined: there is no such key, which then takes the same time too
 */
export function hasSecret(stored: Buffer | undefined, hmac: Buffer): boolean {
  const known = stored?.length === hmac.length ? stored : undefined;
  const isSame = timingSafeEqual(known ?? noSecret, hmac);
  return isSame && known !== undefined;
}
