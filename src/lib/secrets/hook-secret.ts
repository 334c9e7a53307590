import { randomBytes } from "node:crypto";

/** What the secrets of hooks look like: `avh_` and 32 bytes in base64url. */
const pattern = /^avh_[\w-]{43}$/;
const secretBytes = 32;
const maxHeader = 500;

/** A secret for the sender of notifications. @param random as many random bytes as it is asked for */
export function createHookSecret(random: (size: number) => Buffer = randomBytes): string {
  return `avh_${random(secretBytes).toString("base64url")}`;
}

/**
 * The secret in a header `Authorization`: as it is, behind a scheme such as Bearer, or as the name or the password of Basic. The sender
 * does not say which of these it uses. Undefined: there is none.
 */
export function findHookSecret(header: string | undefined): string | undefined {
  if (header === undefined || header.length > maxHeader) return undefined;
  const words = header.trim().split(" ");
  const last = words.at(-1) ?? "";
  const credentials = Buffer.from(last, "base64").toString("latin1");
  return [last, ...credentials.split(":")].find((text) => pattern.test(text));
}
