import fc from "fast-check";
import { expect, test } from "vitest";
import { createSecretBox, isSealedBefore } from "../../src/lib/secrets/secret-box.ts";

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
/** Well formed: a lone surrogate has no UTF-8. */
const text = fc.string({ unit: "binary", maxLength: 80 });
const context = fc.record({ id: text, apiUrl: fc.webUrl() });
const instance = { id: "1101000001", apiUrl: "https://7103.api.greenapi.com" };

test("what was sealed is opened again with the same key and context, and only with these", () => {
  fc.assert(
    fc.property(key, key, text, context, context, (own, other, secret, bound, { id, apiUrl }) => {
      const box = createSecretBox(own);
      const sealed = box.seal(secret, bound);
      expect(box.open(sealed, bound)).toBe(secret);
      if (id !== bound.id) expect(box.open(sealed, { ...bound, id })).toBeUndefined();
      if (new URL(apiUrl).origin !== new URL(bound.apiUrl).origin)
        expect(box.open(sealed, { ...bound, apiUrl })).toBeUndefined();
      if (!Buffer.from(own).equals(other)) expect(createSecretBox(other).open(sealed, bound)).toBeUndefined();
    }),
  );
});

test("a sealed text does not hold the secret, in any usual encoding", () => {
  const secret = fc.string({ unit: "binary-ascii", minLength: 6, maxLength: 80 });
  fc.assert(
    fc.property(key, secret, (own, token) => {
      const sealed = createSecretBox(own).seal(token, instance);
      const bytes = Buffer.from(token);
      for (const spelling of [token, bytes.toString("base64url"), bytes.toString("hex")]) {
        expect(sealed).not.toContain(spelling);
      }
    }),
  );
});

test("the same secret is never sealed to the same text twice", () => {
  const box = createSecretBox(new Uint8Array(32));
  const sealed = Array.from({ length: 100 }, () => box.seal("token", instance));
  expect(new Set(sealed).size).toBe(100);
});

test("a box with any bit flipped is not opened", () => {
  const parts = fc.constantFrom(1, 2, 3);
  fc.assert(
    fc.property(key, fc.string({ minLength: 1 }), parts, fc.nat(), (own, secret, part, at) => {
      const box = createSecretBox(own);
      const fields = box.seal(secret.toWellFormed(), instance).split(".");
      const bytes = Buffer.from(fields[part] ?? "", "base64url");
      const bit = at % (bytes.length * 8);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      fields[part] = bytes.toString("base64url");
      expect(box.open(fields.join("."), instance)).toBeUndefined();
    }),
  );
});

test.each([
  "",
  "v1",
  "v2",
  "v1...",
  "v2...",
  "v3.AAAA.AAAA.AAAA",
  "a clear token",
  "v1.AAAAAAAAAAAAAAAA.AAAA.AAAA",
  "v2.AAAAAAAAAAAAAAAA.AAAA.AAAA",
])("%j is no box", (sealed) => {
  expect(createSecretBox(new Uint8Array(32)).open(sealed, instance)).toBeUndefined();
});

test("a tag cut short does not make forging easier: the box is not opened", () => {
  const box = createSecretBox(new Uint8Array(32));
  const [version, nonce, body, tag] = box.seal("token", instance).split(".");
  const shortTag = Buffer.from(tag ?? "", "base64url")
    .subarray(0, 4)
    .toString("base64url");
  expect(box.open([version, nonce, body, shortTag].join("."), instance)).toBeUndefined();
});

test.each([
  ["https://7103.api.greenapi.com/another/path", "token"],
  ["HTTPS://7103.API.greenapi.com:443/", "token"],
  ["http://7103.api.greenapi.com", undefined],
  ["https://7103.api.greenapi.com:8443", undefined],
  ["https://7103.api.greenapi.com.example.com", undefined],
  ["http://127.0.0.1:9", undefined],
])("what is sealed for one origin and asked for with %s gives %s", (apiUrl, secret) => {
  const box = createSecretBox(new Uint8Array(32));
  expect(box.open(box.seal("token", instance), { ...instance, apiUrl })).toBe(secret);
});

test("what was sealed before origins were bound is opened for its instance, and neither form passes for the other", () => {
  // By the first version, with a key of zeros.
  const old = "v1.BwcHBwcHBwcHBwcH.CafDrgY._lAeX-1iVVUzk1UHkx2NIg";
  const box = createSecretBox(new Uint8Array(32));
  expect(isSealedBefore(old)).toBe(true);
  expect(box.open(old, instance)).toBe("token");
  expect(box.open(old, { ...instance, id: "1101000002" })).toBeUndefined();
  expect(box.open(old.replace("v1", "v2"), instance)).toBeUndefined();
  const sealed = box.seal("token", instance);
  expect(isSealedBefore(sealed)).toBe(false);
  expect(box.open(sealed.replace("v2", "v1"), instance)).toBeUndefined();
});
