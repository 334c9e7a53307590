import { XMLParser } from "fast-xml-parser";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { blankImage } from "../../src/images/fallback/blank-image.ts";
import { drawSilhouette, silhouetteColours } from "../../src/images/fallback/draw-silhouette.ts";

/** WCAG 2.2, relative luminance of `#rrggbb`. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

describe("the drawing in place of an image", () => {
  test.each(silhouetteColours)("can be told from light and dark lists on $ground", ({ ground, figure }) => {
    for (const beside of ["#ffffff", "#121212", figure]) {
      expect(contrast(ground, beside), beside).toBeGreaterThanOrEqual(3);
    }
  });

  test("has a colour of its contact's, and all colours are used", () => {
    expect(drawSilhouette(5, 64)).toBe(drawSilhouette(5, 64));
    const grounds = Array.from(
      { length: 12 },
      (_, seed) => /rect[^>]*fill="([^"]+)"/.exec(drawSilhouette(seed, 64))?.[1],
    );
    expect(grounds).toEqual(silhouetteColours.map(({ ground }) => ground));
    expect(drawSilhouette(2 ** 32 - 1, 64)).toContain(silhouetteColours[(2 ** 32 - 1) % 12]?.ground);
  });

  test("is well-formed SVG of the size that is asked for, and shapes alone", () => {
    for (const size of [64, 640]) {
      const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: "" });
      expect(parser.parse(drawSilhouette(3, size), true)).toMatchObject({
        svg: {
          xmlns: "http://www.w3.org/2000/svg",
          width: String(size),
          height: String(size),
          viewBox: "0 0 64 64",
        },
      });
    }
    expect(drawSilhouette(3, 64)).not.toMatch(/style|script|href|url|text/i);
    expect(drawSilhouette(3, 640).length).toBeLessThan(500);
  });

  test.each([-1, 0.5, Number.NaN])("is not to be had for %d", (seed) => {
    expect(() => drawSilhouette(seed, 64)).toThrow(RangeError);
  });
});

describe("the blank image", () => {
  test("is one pixel that shows nothing", async () => {
    const { data, info } = await sharp(blankImage).raw().toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ width: 1, height: 1, channels: 4 });
    expect(data[3]).toBe(0);
    expect(await sharp(blankImage).metadata()).toMatchObject({ format: "png" });
  });
});
