import fc from "fast-check";
import { expect, test } from "vitest";
import { createSecretBox } from "../../src/lib/secret-box.ts";

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
/** Well formed: a lone surrogate has no UTF-8. */
const text = fc.string({ unit: "binary", maxLength: 80 });

test("what was sealed is opened again with the same key and context, and only with these", () => {
  fc.assert(
    fc.property(key, key, text, text, text, (own, other, secret, context, otherContext) => {
      const box = createSecretBox(own);
      const sealed = box.seal(secret, context);
      expect(box.open(sealed, context)).toBe(secret);
      if (otherContext !== context) expect(box.open(sealed, otherContext)).toBeUndefined();
      if (!Buffer.from(own).equals(other))
        expect(createSecretBox(other).open(sealed, context)).toBeUndefined();
    }),
  );
});

test("a sealed text does not hold the secret, in any usual encoding", () => {
  const secret = fc.string({ unit: "binary-ascii", minLength: 6, maxLength: 80 });
  fc.assert(
    fc.property(key, secret, (own, token) => {
      const sealed = createSecretBox(own).seal(token, "1101000001");
      const bytes = Buffer.from(token);
      for (const spelling of [token, bytes.toString("base64url"), bytes.toString("hex")]) {
        expect(sealed).not.toContain(spelling);
      }
    }),
  );
});

test("the same secret is never sealed to the same text twice", () => {
  const box = createSecretBox(new Uint8Array(32));
  const sealed = Array.from({ length: 100 }, () => box.seal("token", "1101000001"));
  expect(new Set(sealed).size).toBe(100);
});

test("a box with any bit flipped is not opened", () => {
  const parts = fc.constantFrom(1, 2, 3);
  fc.assert(
    fc.property(key, fc.string({ minLength: 1 }), parts, fc.nat(), (own, secret, part, at) => {
      const box = createSecretBox(own);
      const fields = box.seal(secret.toWellFormed(), "1101000001").split(".");
      const bytes = Buffer.from(fields[part] ?? "", "base64url");
      const bit = at % (bytes.length * 8);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      fields[part] = bytes.toString("base64url");
      expect(box.open(fields.join("."), "1101000001")).toBeUndefined();
    }),
  );
});

test.each(["", "v1", "v1...", "v2.AAAA.AAAA.AAAA", "a clear token", "v1.AAAAAAAAAAAAAAAA.AAAA.AAAA"])(
  "%j is no box",
  (sealed) => {
    expect(createSecretBox(new Uint8Array(32)).open(sealed, "1101000001")).toBeUndefined();
  },
);

test("a tag cut short does not make forging easier: the box is not opened", () => {
  const box = createSecretBox(new Uint8Array(32));
  const [version, nonce, body, tag] = box.seal("token", "1").split(".");
  const shortTag = Buffer.from(tag ?? "", "base64url")
    .subarray(0, 4)
    .toString("base64url");
  expect(box.open([version, nonce, body, shortTag].join("."), "1")).toBeUndefined();
});
