import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toName } from "../../src/cli/batch/image-folder.ts";
import type { ChatId } from "../../src/domain/chat-id.ts";

const chatId = "79005550001@c.us" as ChatId;
const name = (externalRef: string | undefined, taken = new Set<string>()) =>
  toName({ chatId, externalRef }, taken);

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
    ["ends with a dot.", "ends with a dot_"],
    ["\u202egnp.exe", "_gnp.exe"],
  ])("of %j is %j", (externalRef, expected) => {
    expect(name(externalRef)).toBe(expected);
  });

  test("is another one for each contact, also where case does not count", () => {
    const taken = new Set<string>();
    expect(name("Crm", taken)).toBe("Crm");
    expect(name("CRM", taken)).toBe(`CRM.${chatId}`);
  });

  test("is one part of a path that all file systems take, whatever the reference", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (externalRef) => {
        const made = name(externalRef);
        expect(made).toMatch(/^[\p{L}\p{N}@+_. -]{1,101}$/u);
        expect(made).not.toMatch(/^\.|[. ]$/);
        expect(made.isWellFormed()).toBe(true);
      }),
    );
  });
});
