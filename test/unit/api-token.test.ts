import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createApiToken,
  createSecretHmac,
  hasSecret,
  parseApiToken,
} from "../../src/lib/secrets/api-token.ts";

const key = Buffer.alloc(32, 7);

describe("a token", () => {
  test("is read as it was made, whatever chance gives", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const { token, id, secret } = createApiToken((size) => Buffer.from(bytes.subarray(0, size)));
        expect(token).toMatch(/^avk_[0-9a-hjkmnp-tv-z]{12}\.[\w-]{43}$/);
        expect(parseApiToken(token)).toEqual({ id, secret });
        expect(Buffer.from(secret, "base64url")).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test("is another one each time", () => {
    const tokens = Array.from({ length: 100 }, () => createApiToken());
    expect(new Set(tokens.map(({ id }) => id)).size).toBe(100);
    expect(new Set(tokens.map(({ secret }) => secret)).size).toBe(100);
  });

  const secret = "A".repeat(43);
  test.each([
    "",
    "avk_",
    `avk_0123456789ab${secret}`,
    `avk_0123456789a.${secret}`,
    `avk_0123456789abc.${secret}`,
    `avk_0123456789il.${secret}`,
    `avk_0123456789AB.${secret}`,
    `avk_0123456789ab.${secret}A`,
    `avk_0123456789ab.${secret.slice(1)}`,
    `avk_0123456789ab.${secret.slice(1)}=`,
    ` avk_0123456789ab.${secret}`,
    `avk_0123456789ab.${secret}\n`,
    `avk_0123456789ab.${secret}`.repeat(100_000),
  ])("is not %j", (text) => {
    expect(parseApiToken(text)).toBeUndefined();
  });

  test("is nothing else, whatever the text", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => parseApiToken(text) === undefined));
  });
});

describe("the HMAC of a secret", () => {
  const hmac = createSecretHmac(key);

  test("depends on the secret, and on the installation", () => {
    expect(hmac("one")).toEqual(createSecretHmac(key)("one"));
    expect(hmac("one")).toHaveLength(32);
    expect(hmac("two")).not.toEqual(hmac("one"));
    expect(createSecretHmac(Buffer.alloc(32, 8))("one")).not.toEqual(hmac("one"));
  });

  test("is not made with the secret key itself, which seals other things", () => {
    expect(hmac("one")).not.toEqual(createHmac("sha256", key).update("one").digest());
  });

  test("is the same as the stored one only where the secret is", () => {
    expect(hasSecret(hmac("one"), hmac("one"))).toBe(true);
    expect(hasSecret(hmac("one"), hmac("two"))).toBe(false);
  });

  test("is never that of a key that does not exist, or whose row is damaged", () => {
    expect(hasSecret(undefined, hmac("one"))).toBe(false);
    expect(hasSecret(undefined, Buffer.alloc(32))).toBe(false);
    expect(hasSecret(Buffer.alloc(0), hmac("one"))).toBe(false);
    expect(hasSecret(hmac("one").subarray(1), hmac("one"))).toBe(false);
  });
});
