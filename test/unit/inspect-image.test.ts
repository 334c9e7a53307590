import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inspectImage } from "../../src/images/inspect-image.ts";
import { maxImageBytes } from "../../src/images/image.ts";
import {
  makeAnimatedPng,
  makeJpegOfSize,
  readSample,
  resize,
  type SampleName,
} from "../support/image-samples.ts";

const samples: readonly (readonly [SampleName, string])[] = [
  ["jpegBaseline", "image/jpeg"],
  ["jpegProgressive", "image/jpeg"],
  ["jpegWithExif", "image/jpeg"],
  ["png", "image/png"],
  ["webpLossy", "image/webp"],
  ["webpLossless", "image/webp"],
  ["webpAlpha", "image/webp"],
];

const refused = (reason: string) => ({ kind: "refused", reason });

describe("an image", () => {
  test.each(samples)("%s is taken as %s, with its size", (name, type) => {
    const bytes = readSample(name);
    expect(inspectImage(bytes)).toEqual({ kind: "taken", bytes, type, width: 16, height: 9 });
  });

  test.each(samples)("%s is refused at whatever byte it is cut", (name) => {
    const bytes = readSample(name);
    for (let length = 12; length < bytes.length; length += 1)
      expect(inspectImage(bytes.subarray(0, length)), `${length} bytes`).toEqual(refused("truncated"));
    for (let length = 0; length < 12; length += 1)
      expect(inspectImage(bytes.subarray(0, length)).kind).toBe("refused");
  });

  test.each(samples)("%s may have padding behind its end, and no other bytes", (name) => {
    const padded = Buffer.concat([readSample(name), Buffer.from([0, 0xff, 0x0d, 0x0a])]);
    expect(inspectImage(padded).kind).toBe("taken");
    const page = Buffer.concat([readSample(name), Buffer.from("<script>alert(1)</script>")]);
    expect(inspectImage(page).kind).toBe("refused");
  });

  test("may have 5 MiB, and not a byte more", () => {
    expect(inspectImage(makeJpegOfSize(maxImageBytes)).kind).toBe("taken");
    expect(inspectImage(makeJpegOfSize(maxImageBytes + 1))).toEqual(refused("too-large"));
  });

  test.each([
    ["jpegBaseline", 8_192, 3_051, "taken"],
    ["jpegBaseline", 8_193, 1, "refused"],
    ["jpegBaseline", 1, 8_193, "refused"],
    ["jpegBaseline", 5_001, 5_000, "refused"],
    ["png", 5_000, 5_000, "taken"],
    ["png", 0x7fffffff, 0x7fffffff, "refused"],
    ["webpLossless", 5_000, 5_000, "taken"],
    ["webpLossless", 16_384, 16_384, "refused"],
  ] as const)("%s of %i × %i pixels is %s", (name, width, height, kind) => {
    const verdict = inspectImage(resize(name, width, height));
    expect(verdict).toMatchObject(kind === "taken" ? { kind, width, height } : refused("too-many-pixels"));
  });

  test.each([
    ["jpegBaseline", 0, 9],
    ["jpegBaseline", 16, 0],
    ["png", 0, 9],
    ["png", 0x80000000, 9],
  ] as const)("%s of %i × %i pixels is malformed", (name, width, height) => {
    expect(inspectImage(resize(name, width, height))).toEqual(refused("malformed"));
  });

  test("that moves is refused", () => {
    expect(inspectImage(makeAnimatedPng())).toEqual(refused("animated"));
    expect(inspectImage(readSample("webpAnimated"))).toEqual(refused("animated"));
  });

  test("does not hide a large image behind a small canvas", () => {
    const webp = readSample("webpAlpha");
    webp.writeUIntLE(0, 24, 3);
    expect(inspectImage(webp)).toEqual(refused("malformed"));
  });

  test("has one frame, of a kind that browsers show", () => {
    const jpeg = readSample("jpegBaseline");
    const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
    const scan = jpeg.indexOf(Buffer.from([0xff, 0xda]));
    const twice = [jpeg.subarray(0, scan), jpeg.subarray(frame, frame + 19), jpeg.subarray(scan)];
    expect(inspectImage(Buffer.concat(twice))).toEqual(refused("malformed"));
    const none = [jpeg.subarray(0, frame), jpeg.subarray(frame + 19)];
    expect(inspectImage(Buffer.concat(none))).toEqual(refused("malformed"));
    for (const kind of [0xc3, 0xc9, 0xd0, 0xd8, 0xd9]) {
      const other = Buffer.from(jpeg);
      other[frame + 1] = kind;
      expect(inspectImage(other), kind.toString(16)).toEqual(refused("malformed"));
    }
  });

  test("of PNG has its header first, some data, and its header once", () => {
    const png = readSample("png");
    const header = png.subarray(8, 33);
    const end = png.subarray(png.length - 12);
    const signature = png.subarray(0, 8);
    for (const parts of [
      [signature, end],
      [signature, header, end],
      [signature, header, header, png.subarray(33)],
    ])
      expect(inspectImage(Buffer.concat(parts))).toEqual(refused("malformed"));
  });
});

const box = (brands: string) => Buffer.from(`\0\0\0\u0018ftyp${brands}`, "latin1");

describe("what is no image is called by its name:", () => {
  test.each<[string, Buffer, string]>([
    ["nothing", Buffer.alloc(0), "empty"],
    ["a GIF", readSample("gif"), "gif"],
    ["an AVIF", readSample("avif"), "avif"],
    ["an AVIF sequence", box("avis\0\0\0\0msf1"), "avif"],
    ["an AVIF that calls itself HEIF first", box("mif1\0\0\0\0mif1avif"), "avif"],
    ["a HEIC", box("heic\0\0\0\0mif1heic"), "heic"],
    ["another HEIC", box("mif1\0\0\0\0heix"), "heic"],
    ["a film", box("isom\0\0\0\0isommp42"), "not-an-image"],
    ["a BMP", Buffer.from("BM\x3a\0\0\0"), "bmp"],
    ["an SVG", Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'), "svg"],
    ["an SVG with a prologue", Buffer.from('\ufeff \n<?xml version="1.0"?><!-- a -->\n<SVG>'), "svg"],
    ["a page", Buffer.from("\n<!DOCTYPE html><p>"), "html"],
    ["a page with an SVG in it", Buffer.from("<html><svg></svg>"), "html"],
    ["a page after a remark", Buffer.from("<!-- a --><html>"), "html"],
    [
      "another XML",
      Buffer.from('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
      "not-an-image",
    ],
    ["JSON", Buffer.from('{"error":true}'), "not-an-image"],
    ["gzip", Buffer.from([0x1f, 0x8b, 8, 0]), "not-an-image"],
    ["a sound", Buffer.from("RIFF\u0010\0\0\0WAVEfmt "), "not-an-image"],
    ["one byte", Buffer.from([0xff]), "not-an-image"],
  ])("%s", (_, bytes, reason) => {
    expect(inspectImage(bytes)).toEqual(refused(reason));
  });
});

/** Counts how often anything of the bytes is read. */
function countReads(bytes: Buffer): number {
  let reads = 0;
  const counted = new Proxy(bytes, {
    get(target, key) {
      reads += 1;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  inspectImage(counted);
  return reads;
}

/** Images with some of their bytes replaced, left out or repeated: the headers mostly hold, and what follows does not. */
const spoilt = fc
  .tuple(
    fc.constantFrom(...samples.map(([name]) => name), "webpAnimated" as const),
    fc.array(fc.tuple(fc.nat({ max: 600 }), fc.uint8Array({ maxLength: 8 }), fc.nat({ max: 8 })), {
      maxLength: 8,
    }),
  )
  .map(([name, changes]) => {
    let bytes = readSample(name);
    for (const [at, put, skip] of changes) {
      const place = at % bytes.length;
      bytes = Buffer.concat([bytes.subarray(0, place), put, bytes.subarray(place + skip)]);
    }
    return bytes;
  });
const signatures = fc.constantFrom(
  "\u00ff\u00d8\u00ff",
  "\u0089PNG\r\n\u001a\n",
  "RIFF\u00ff\0\0\0WEBP",
  "<",
  "\0\0\0\0ftyp",
  "",
);
const madeUp = fc
  .tuple(signatures, fc.uint8Array({ maxLength: 400, size: "max" }))
  .map(([head, rest]) => Buffer.concat([Buffer.from(head, "latin1"), rest]));

test("any bytes are judged without an error, in steps that do not outnumber them", () => {
  fc.assert(
    fc.property(fc.oneof(spoilt, madeUp), (bytes) => {
      const verdict = inspectImage(bytes);
      if (verdict.kind === "taken") expect(verdict.width * verdict.height).toBeLessThanOrEqual(25_000_000);
      expect(countReads(bytes)).toBeLessThanOrEqual(4 * bytes.length + 40);
    }),
    { numRuns: 2_000 },
  );
});

test.each<[string, Buffer, Buffer]>([
  ["JPEG of fill bytes", readSample("jpegBaseline").subarray(0, 2), Buffer.from([0xff])],
  ["JPEG of empty segments", readSample("jpegBaseline").subarray(0, 2), Buffer.from([0xff, 0xfe, 0, 2])],
  ["JPEG whose scan is padding", readSample("jpegBaseline").subarray(0, -2), Buffer.from([0])],
  ["PNG of empty chunks", readSample("png").subarray(0, 33), Buffer.from("\0\0\0\0tEXt\0\0\0\0")],
])("the worst %s is read in steps that do not outnumber its bytes", (_, head, piece) => {
  const bytes = Buffer.concat([head, ...Array.from({ length: 20_000 }, () => piece)]);
  expect(countReads(bytes)).toBeLessThanOrEqual(4 * bytes.length + 40);
});
