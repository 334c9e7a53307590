import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBase64Image } from "../../src/images/decode-base64-image.ts";
import { maxImageBytes } from "../../src/images/image.ts";
import { nastyString } from "../support/nasty-values.ts";
import { makeJpegOfSize, readSample } from "../support/image-samples.ts";

const bytes = readSample("png");
const base64 = bytes.toString("base64");
const taken = { kind: "taken", bytes, type: "image/png", width: 16, height: 9 };
const refused = (reason: string) => ({ kind: "refused", reason });

describe("an image is read", () => {
  test.each([
    ["raw base64", base64],
    ["base64 in lines", base64.replace(/.{76}/g, "$&\r\n")],
    ["base64 with blanks around it", `\n ${base64} \n`],
    ["base64 without padding", base64.replaceAll("=", "")],
    ["base64 for URLs", bytes.toString("base64url")],
    ["a data: URI", `data:image/png;base64,${base64}`],
    ["a data: URI in capitals", `DATA:IMAGE/PNG;BASE64,${base64}`],
    ["a data: URI with parameters", `data:image/png;charset=utf-8;base64,${base64}`],
    ["a data: URI that lies about its type", `data:image/svg+xml;base64,${base64}`],
    ["a data: URI without a type", `data:;base64,${base64}`],
    ["a data: URI with percent signs", `data:image/png;base64,${encodeURIComponent(base64)}`],
  ])("from %s", (_, text) => {
    expect(decodeBase64Image(text)).toEqual(taken);
  });

  test("of 5 MiB, and not of a byte more", () => {
    const [whole, over] = [0, 1].map((more) => makeJpegOfSize(maxImageBytes + more).toString("base64"));
    expect(decodeBase64Image(whole ?? "")?.kind).toBe("taken");
    expect(decodeBase64Image(over ?? "")).toEqual(refused("too-large"));
    expect(decodeBase64Image("A".repeat(100_000_000))).toEqual(refused("too-large"));
  });
});

test.each(["", " \n", "undefined", " null "])("%j says that there is none", (text) => {
  expect(decodeBase64Image(text)).toBeUndefined();
});

test.each([
  ["a URL", "https://pps.whatsapp.net/v/t61.24694-24/1_n.jpg?oh=1"],
  ["a sign that base64 has not", `${base64.slice(0, 8)}!${base64.slice(8)}`],
  ["a zero", `${base64.slice(0, 8)}\0${base64.slice(8)}`],
  ["padding in the middle", `${base64}${base64}`],
  ["too much padding", `${base64.replaceAll("=", "")}===`],
  ["a digit too many", `${bytes.subarray(0, 9).toString("base64")}A`],
  ["padding alone", "=="],
  ["a data: URI without base64", "data:image/png,abc"],
  ["a data: URI without a comma", `data:image/png;base64${base64}`],
  ["a data: URI with an endless head", `data:${"a".repeat(300)};base64,${base64}`],
  ["a data: URI without data", "data:image/png;base64,"],
  ["another percent sign", `data:image/png;base64,%41${base64}`],
  ["a half of a pair", `\ud800${base64}`],
])("%s is no base64", (_, text) => {
  expect(decodeBase64Image(text)).toEqual(refused("not-base64"));
});

test.each([
  ["an SVG", `data:image/svg+xml;base64,${Buffer.from("<svg/>").toString("base64")}`, "svg"],
  ["a GIF", readSample("gif").toString("base64"), "gif"],
  [
    "a page that calls itself a JPEG",
    `data:image/jpeg;base64,${Buffer.from("<html>").toString("base64")}`,
    "html",
  ],
  ["a cut image", base64.slice(0, 200), "truncated"],
  ["a word", "unavailable=", "not-an-image"],
])("%s in base64 is refused as the bytes are", (_, text, reason) => {
  expect(decodeBase64Image(text)).toEqual(refused(reason));
});

test("any text is judged without an error", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        nastyString,
        fc.base64String(),
        nastyString.map((text) => `data:${text};base64,`),
      ),
      (text) => {
        expect(["taken", "refused", undefined]).toContain(decodeBase64Image(text)?.kind);
      },
    ),
  );
});

test.each([
  ["blanks", " "],
  ["blanks between", "A "],
  ["padding", "="],
  ["percent signs", "%"],
  ["line ends", "A\r\n"],
])("a text full of %s is judged at once", (_, piece) => {
  const text = `data:image/png;base64,${piece.repeat(2_000_000)}`.slice(0, 6_000_000);
  expect(decodeBase64Image(`${text}!`)).toEqual(refused("not-base64"));
});
