import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createPictureSeed,
  createPictureToken,
  derivePictureKey,
  readPictureToken,
  toSqlPictureKey,
} from "../../src/pictures/address/picture-token.ts";

const secretKey = Buffer.alloc(32, 7);
const key = derivePictureKey(secretKey);
const ids = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

describe("the token of a contact's picture", () => {
  test("is its id and half of an HMAC, 32 characters that a URL can have", () => {
    const id = Buffer.from("00000000000004d2", "hex");
    const mac = createHmac("sha256", key).update("picture:").update(id).digest().subarray(0, 16);
    expect(createPictureToken(1234, key)).toBe(Buffer.concat([id, mac]).toString("base64url"));
    fc.assert(fc.property(ids, (contactId) => /^[\w-]{32}$/.test(createPictureToken(contactId, key))));
  });

  test("leads back to the contact, always", () => {
    fc.assert(
      fc.property(ids, (contactId) => {
        expect(readPictureToken(createPictureToken(contactId, key), key)).toBe(contactId);
      }),
    );
  });

  test("leads nowhere with any other character, in each of its places", () => {
    const token = createPictureToken(42, key);
    for (let at = 0; at < token.length; at += 1) {
      for (const other of "AZaz09-_") {
        const changed = token.slice(0, at) + other + token.slice(at + 1);
        if (changed !== token) expect(readPictureToken(changed, key)).toBeUndefined();
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
    expect(readPictureToken(text, key)).toBeUndefined();
  });

  test("leads nowhere for text that was not made here", () => {
    fc.assert(fc.property(fc.string(), (text) => readPictureToken(text, key) === undefined));
    const others = derivePictureKey(Buffer.alloc(32, 8));
    fc.assert(
      fc.property(
        ids,
        (contactId) => readPictureToken(createPictureToken(contactId, others), key) === undefined,
      ),
    );
  });
});

describe("the keys of pictures", () => {
  test("do not give away the installation's own", () => {
    expect(key).toHaveLength(32);
    expect(key.equals(secretKey)).toBe(false);
    expect(derivePictureKey(secretKey)).toEqual(key);
    expect(toSqlPictureKey(key)).toHaveLength(128);
    expect(() => toSqlPictureKey(Buffer.alloc(33))).toThrow(RangeError);
  });
});

describe("the seed of a contact's drawing", () => {
  test("is always the same, within 32 bits, and no part of the token", () => {
    fc.assert(
      fc.property(ids, (contactId) => {
        const seed = createPictureSeed(contactId, key);
        expect(createPictureSeed(contactId, key)).toBe(seed);
        expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true);
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(seed);
        expect(Buffer.from(createPictureToken(contactId, key), "base64url").includes(bytes)).toBe(false);
      }),
    );
  });
});
