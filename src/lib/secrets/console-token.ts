import { createHash, randomBytes } from "node:crypto";

const tokenBytes = 32;
/** 32 bytes in base64url are 43 characters. */
const pattern = /^[\w-]{43}$/;

/** A token of the console: of a session, or of a link that opens one. 43 characters. */
export function createConsoleToken(): string {
  return randomBytes(tokenBytes).toString("base64url");
}

/** The hash by which a token is known: 32 bytes. Undefined where `text` is no token. */
export function hashConsoleToken(text: string): Buffer | undefined {
  return pattern.test(text) ? createHash("sha256").update(text).digest() : undefined;
}
