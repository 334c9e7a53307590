import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createImageSeed, createImageToken, readImageToken } from "../../src/images/address/image-token.ts";

const key = Buffer.alloc(32, 7);
const ids = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

describe("the token of a contact's image", () => {
  test("is its id and half of an HMAC, 32 characters that a URL can have", () => {
    const id = Buffer.from("00000000000004d2", "hex");
    const mac = createHmac("sha256", key).update("image:").update(id).digest().subarray(0, 16);
    expect(createImageToken(1234, key)).toBe(Buffer.concat([id, mac]).toString("base64url"));
    fc.assert(fc.property(ids, (contactId) => /^[\w-]{32}$/.test(createImageToken(contactId, key))));
  });

  test("leads back to the contact, always", () => {
    fc.assert(
      fc.property(ids, (contactId) => {
        expect(readImageToken(createImageToken(contactId, key), key)).toBe(contactId);
      }),
    );
  });

  test("leads nowhere with any other character, in each of its places", () => {
    const token = createImageToken(42, key);
    for (let at = 0; at < token.length; at += 1) {
      for (const other of "AZaz09-_") {
        const changed = token.slice(0, at) + other + token.slice(at + 1);
        if (changed !== token) expect(readImageToken(changed, key)).toBeUndefined();
      }
    }
  });

  test.each([
    ["", "nothing"],
    ["A".repeat(31), "a character too few"],
    ["A".repeat(33), "one too many"],
    [`${"A".repeat(31)}=`, "padding"],
    [`${"A".repeat(31)}+`, "base64 of the other kind"],
    [`${"A".repeat(31)}\n`, "a line's end"],
    ["Ａ".repeat(32), "letters that are none of ours"],
    ["A".repeat(32), "zeros"],
    ["A".repeat(1_000_000), "far too much"],
  ])("is not %j", (text) => {
    expect(readImageToken(text, key)).toBeUndefined();
  });

  test("leads nowhere for text that was not made here", () => {
    fc.assert(fc.property(fc.string(), (text) => readImageToken(text, key) === undefined));
    const others = Buffer.alloc(32, 8);
    fc.assert(
      fc.property(ids, (contactId) => readImageToken(createImageToken(contactId, others), key) === undefined),
    );
  });
});

describe("the seed of a contact's drawing", () => {
  test("is always the same, within 32 bits, and no part of the token", () => {
    fc.assert(
      fc.property(ids, (contactId) => {
        const seed = createImageSeed(contactId, key);
        expect(createImageSeed(contactId, key)).toBe(seed);
        expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true);
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(seed);
        expect(Buffer.from(createImageToken(contactId, key), "base64url").includes(bytes)).toBe(false);
      }),
    );
  });
});
