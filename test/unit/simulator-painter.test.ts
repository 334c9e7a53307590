import { inflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { Painter, type Picture } from "../../src/simulator/pictures/painter.ts";

const painter = new Painter();
const drawn = Array.from({ length: 400 }, (_, number) => painter.draw(`picture ${number}`));

function ofKind(type: Picture["type"], size: number): Buffer[] {
  return drawn.filter((picture) => picture.type === type && picture.size === size).map(({ bytes }) => bytes);
}

/** The segments of a JPEG by their marker, entropy-coded data left out. */
function readSegments(jpeg: Buffer): [marker: number, data: Buffer][] {
  const segments: [number, Buffer][] = [];
  for (let at = 2; at < jpeg.length - 2;) {
    const isMarker = jpeg[at] === 0xff && (jpeg[at + 1] ?? 0) >= 0xc0;
    if (!isMarker) at += 1;
    else {
      const end = at + 2 + jpeg.readUInt16BE(at + 2);
      segments.push([jpeg[at + 1] ?? 0, jpeg.subarray(at + 4, end)]);
      at = end;
    }
  }
  return segments;
}

test("a seed draws the same bytes again, on another painter too, and no other seed does", () => {
  const again = new Painter();
  for (let number = 0; number < 60; number += 1) {
    expect(again.draw(`picture ${number}`).bytes.equals(drawn[number]!.bytes)).toBe(true);
  }
  expect(new Set(drawn.map(({ bytes }) => bytes.toString("base64"))).size).toBe(drawn.length);
});

test("most pictures are large JPEGs, and there are small ones, PNG and WebP", () => {
  expect(ofKind("image/jpeg", 640).length).toBeGreaterThan(drawn.length / 2);
  for (const type of ["image/jpeg", "image/png", "image/webp"] as const) {
    expect(ofKind(type, 640).length + ofKind(type, 96).length).toBeGreaterThan(20);
    expect(ofKind(type, 96).length, type).toBeGreaterThan(0);
  }
});

test("a JPEG weighs what WhatsApp's do, says its size, and begins and ends as one", () => {
  for (const [size, least, most] of [
    [640, 30_000, 100_000],
    [96, 1_500, 5_000],
  ] as const) {
    for (const bytes of ofKind("image/jpeg", size)) {
      expect(bytes.length).toBeGreaterThan(least);
      expect(bytes.length).toBeLessThan(most);
      expect([bytes.readUInt16BE(0), bytes.readUInt16BE(bytes.length - 2)]).toEqual([0xffd8, 0xffd9]);
      const segments = readSegments(bytes);
      const frame = segments.find(([marker]) => marker === 0xc0)?.[1];
      expect([frame?.readUInt16BE(1), frame?.readUInt16BE(3)]).toEqual([size, size]);
      expect(segments.filter(([marker]) => marker === 0xda)).toHaveLength(3);
    }
  }
});

test("a PNG has a number of one of its colours for each pixel", () => {
  for (const bytes of [...ofKind("image/png", 96), ...ofKind("image/png", 640).slice(0, 3)]) {
    const size = bytes.readUInt32BE(16);
    expect(bytes.readUInt32BE(20)).toBe(size);
    const colours = bytes.readUInt32BE(33) / 3;
    const data = 33 + 12 + 3 * colours;
    const rows = inflateSync(bytes.subarray(data + 8, data + 8 + bytes.readUInt32BE(data)));
    expect(rows).toHaveLength(size * (size + 1));
    expect(rows.every((number) => number < colours)).toBe(true);
  }
});

test("a WebP is a RIFF file of one lossless chunk, whose length and size are told right", () => {
  for (const size of [96, 640]) {
    for (const bytes of ofKind("image/webp", size)) {
      expect(bytes.toString("latin1", 0, 4) + bytes.toString("latin1", 8, 16)).toBe("RIFFWEBPVP8L");
      expect(bytes.readUInt32LE(4)).toBe(bytes.length - 8);
      const sizes = bytes.readUInt32LE(21);
      expect([(sizes & 0x3fff) + 1, ((sizes >> 14) & 0x3fff) + 1]).toEqual([size, size]);
    }
  }
});
