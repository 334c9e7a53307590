import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { imageSizes } from "../../src/domain/images/image.ts";
import { openResizer, type Resizer } from "../../src/images/sizes/open-resizer.ts";

let resizer: Resizer;

beforeAll(async () => {
  const opened = await openResizer();
  if (opened === undefined) throw new Error("sharp is not installed");
  resizer = opened;
});

const red = { r: 200, g: 20, b: 20 };
const blue = { r: 20, g: 20, b: 200 };

/** Red, with a blue band along its left quarter. */
function draw(width: number, height: number) {
  const band = { create: { width: Math.ceil(width / 4), height, channels: 3 as const, background: blue } };
  return sharp({ create: { width, height, channels: 3, background: red } }).composite([
    { input: band, left: 0, top: 0 },
  ]);
}

/** The colour in the middle of the upper edge, as `red` or `blue`. */
async function seeTop(bytes: Buffer): Promise<string> {
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  const at = Math.floor(info.width / 2) * info.channels;
  return (data[at] ?? 0) > (data[at + 2] ?? 0) ? "red" : "blue";
}

describe("an image that is made small", () => {
  test.each(["jpeg", "png", "webp"] as const)("stays a %s, square, in each size", async (format) => {
    const original = await draw(800, 640).toFormat(format).toBuffer();
    for (const size of imageSizes) {
      const made = await resizer.resize(original, size);
      expect(await sharp(made).metadata()).toMatchObject({
        format,
        width: size,
        height: size,
        space: "srgb",
      });
    }
  });

  test.each([
    [96, 96, 640, 96],
    [100, 300, 256, 100],
    [300, 100, 64, 64],
    [640, 640, 640, 640],
    [1, 1, 64, 1],
  ])("of %i × %i at %i has %i: never more than there is", async (width, height, size, side) => {
    const made = await resizer.resize(await draw(width, height).jpeg().toBuffer(), size as 64);
    expect(await sharp(made).metadata()).toMatchObject({ width: side, height: side });
  });

  test("is turned as EXIF says, and tells no more what EXIF told", async () => {
    const original = await draw(400, 300)
      .withExif({ IFD0: { Copyright: "Secret" }, IFD3: { GPSLatitude: "51/1 30/1 0/1" } })
      .withMetadata({ orientation: 6 })
      .withIccProfile("p3")
      .jpeg()
      .toBuffer();
    expect(await sharp(original).metadata()).toMatchObject({ orientation: 6, exif: expect.anything() });

    const made = await resizer.resize(original, 128);

    expect(await sharp(made).metadata()).not.toHaveProperty("exif");
    expect(await sharp(made).metadata()).not.toHaveProperty("icc");
    expect(await sharp(made).metadata()).not.toHaveProperty("orientation");
    // The band along the left edge comes to lie along the upper one.
    expect(await seeTop(made ?? Buffer.alloc(0))).toBe("blue");
  });

  test("keeps what is transparent", async () => {
    const background = { ...red, alpha: 0 };
    const original = await sharp({ create: { width: 200, height: 200, channels: 4, background } })
      .png()
      .toBuffer();
    expect(await sharp(await resizer.resize(original, 64)).stats()).toMatchObject({ isOpaque: false });
  });

  test("is the first frame of an animation", async () => {
    const frames = await Promise.all(
      [draw(80, 80), draw(80, 80).negate()].map((frame) => frame.png().toBuffer()),
    );
    const animation = await sharp(frames, { join: { animated: true } })
      .webp({ loop: 0, delay: [100, 100] })
      .toBuffer();
    expect(await sharp(animation).metadata()).toMatchObject({ pages: 2 });
    const { pages = 1 } = await sharp(await resizer.resize(animation, 64)).metadata();
    expect(pages).toBe(1);
  });
});

describe("no image is made", () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64"/></svg>';
  const gif = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["no image", Buffer.from("<html>Not found</html>")],
    ["an SVG", Buffer.from(svg)],
    ["a GIF", Buffer.from(gif, "base64")],
    ["the beginning of a JPEG", Buffer.from("ffd8ffe000104a46494600010100000100010000", "hex")],
  ])("of %s", async (_, bytes) => {
    expect(await resizer.resize(bytes, 64)).toBeUndefined();
  });

  test.each(["jpeg", "png", "webp"] as const)("of half a %s", async (format) => {
    const whole = await draw(500, 500).toFormat(format).toBuffer();
    expect(await resizer.resize(whole.subarray(0, whole.length / 2), 64)).toBeUndefined();
  });

  test("of more pixels than a face has", async () => {
    const background = red;
    const bomb = await sharp({ create: { width: 5001, height: 5000, channels: 3, background } })
      .png({ compressionLevel: 1 })
      .toBuffer();
    expect(bomb.length).toBeLessThan(1_000_000);
    expect(await resizer.resize(bomb, 64)).toBeUndefined();
  });

  test("where sharp is not installed", () => {
    const folder = mkdtempSync(join(tmpdir(), "no-sharp-"));
    try {
      const built = join(import.meta.dirname, "../../dist/images/sizes/open-resizer.js");
      const copy = join(folder, "open-resizer.mjs");
      copyFileSync(built, copy);
      const code = `const { openResizer } = await import(${JSON.stringify(pathToFileURL(copy).href)});
        process.stdout.write(String(await openResizer()));`;
      const args = ["--input-type=module", "-e", code];
      expect(execFileSync(process.execPath, args, { encoding: "utf8" })).toBe("undefined");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
