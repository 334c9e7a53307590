import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toImageName } from "../../src/cli/batch/image-name.ts";

const chatId = "79005550001@c.us";
const instanceId = "1101000001";
const name = (externalRef: string | undefined, taken = new Set<string>(), chat = chatId) =>
  toImageName({ instanceId, chatId: chat, externalRef }, taken);

describe("the name of a picture's file", () => {
  test.each([
    ["CRM-17", "CRM-17"],
    [undefined, chatId],
    ["", chatId],
    ["Müller & Söhne", "Müller _ Söhne"],
    ["../../etc/passwd", "_._.._etc_passwd"],
    ['a/b\\c:d*e?f"g<h>i|j', "a_b_c_d_e_f_g_h_i_j"],
    ["con", "_con"],
    ["LPT1.txt", "_LPT1.txt"],
    ["com²", "_com²"],
    ["ends with a dot.", "ends with a dot_"],
    ["\u202egnp.exe", "_gnp.exe"],
    ["half \ud83d", "half _"],
  ])("of %j is %j", (externalRef, expected) => {
    expect(name(externalRef)).toBe(expected);
  });

  test.each([
    ["Crm", "CRM"],
    ["Straße", "STRASSE"],
    ["\u212aelvin", "kelvin"],
    ["a/b", "a?b"],
    ["Ü", "U\u0308"],
  ])("is another one for %j and %j, which some file system takes for one", (first, second) => {
    const taken = new Set<string>();
    name(first, taken);
    expect(name(second, taken)).toMatch(new RegExp(`\\.${chatId}$`));
  });

  test("is another one for a reference that looks like what another contact would be called", () => {
    const taken = new Set<string>();
    const names = [
      name("x", taken, "1@c.us"),
      name("x.2@c.us", taken, "9@c.us"),
      name("x.2@c.us.1101000001", taken, "8@c.us"),
      name("x", taken, "2@c.us"),
    ];
    expect(names).toEqual(["x", "x.2@c.us", "x.2@c.us.1101000001", "x.2@c.us.1101000001.2"]);
  });

  test("is another one for one chat of several instances", () => {
    const taken = new Set<string>();
    const ids = ["1101000001", "1101000002", "1101000003"];
    const names = ids.map((id) => toImageName({ instanceId: id, chatId, externalRef: undefined }, taken));
    expect(names).toEqual([chatId, `${chatId}.${chatId}`, `${chatId}.${chatId}.1101000003`]);
  });

  test("that is too long is cut between two signs, and differs where the rest differs", () => {
    const taken = new Set<string>();
    const long = "界".repeat(100);
    const names = [name(long, taken), name(`${long}!`, taken), name(long, taken, "2@c.us")];
    expect(new Set(names).size).toBe(3);
    for (const made of names) expect(made).toMatch(/^界{70,80}\.[\da-f]{16}$/);
    expect(name("x".repeat(250))).toBe("x".repeat(250));
  });

  const refs = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.string({ unit: fc.constantFrom("a", "A", "ß", "S", ".", "/", "界", "😀"), maxLength: 300 }),
    fc.string({ unit: fc.constantFrom("a", "A", "/", "?"), maxLength: 2 }),
  );

  test("is one part of a path that all file systems take, and no other contact's, whatever the references", () => {
    fc.assert(
      fc.property(fc.array(refs, { maxLength: 20 }), (externalRefs) => {
        const taken = new Set<string>();
        const names = externalRefs.map((externalRef, at) => name(externalRef, taken, `${at}@c.us`));
        for (const made of names) {
          expect(made).toMatch(/^[\p{L}\p{N}@+_. -]+$/u);
          expect(made).not.toMatch(/^\.|[. ]$/);
          expect(made.isWellFormed()).toBe(true);
          expect(Buffer.byteLength(`${made}.webp`)).toBeLessThanOrEqual(255);
        }
        for (const fold of [(text: string) => text.toLowerCase(), (text: string) => text.toUpperCase()])
          expect(new Set(names.map(fold)).size).toBe(names.length);
      }),
    );
  });
});
