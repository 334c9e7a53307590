import { type JpegBase, toJpeg, toJpegBase } from "./jpeg.ts";
import { drawLook, type Look, type PictureType, toBrightness, toRgb } from "./look.ts";
import { deflatePixels, toPng } from "./png.ts";
import { drawPortrait, parts, type Portrait, shades, type Sitter, sitters } from "./portrait.ts";
import { toWebp, toWebpBase, type WebpBase } from "./webp.ts";

/** An image as a file. */
export interface Picture {
  readonly type: PictureType;
  /** Width and height in pixels. */
  readonly size: number;
  readonly bytes: Buffer;
}

/** Colours that no pixel has: they hold the mark of the picture. */
const markColours = 6;
const colourCount = parts.length * shades + markColours;
/** The noise of a camera, in shades. Of what is kept without loss it would fill the file. */
const grains: Readonly<Record<PictureType, number>> = {
  "image/jpeg": 0.8,
  "image/png": 0.15,
  "image/webp": 0.1,
};

/**
 * Draws pictures: a head and shoulders, upright, in colours of its own. What pictures of one sitter, size and type share is
 * encoded once and kept, 48 of them at most; the rest takes about a millisecond.
 */
export class Painter {
  readonly #jpegBases = new Map<string, JpegBase>();
  readonly #pngBases = new Map<string, Buffer>();
  readonly #webpBases = new Map<string, WebpBase>();

  /** The picture that belongs to `seed`: the same in every run of one version of Node, whose zlib packs the PNGs. */
  draw(seed: string): Picture {
    const look = drawLook(seed);
    return { type: look.type, size: look.size, bytes: this.#encode(look) };
  }

  #encode(look: Look): Buffer {
    switch (look.type) {
      case "image/jpeg": {
        const base = getOrMake(this.#jpegBases, look, encodeJpegBase);
        const comment = Buffer.from(Buffer.from(look.mark).toString("hex"));
        return toJpeg(
          base,
          parts.map((part) => look.tints[part]),
          comment,
        );
      }
      case "image/png":
        return toPng(getOrMake(this.#pngBases, look, encodePngBase), look.size, toColours(look));
      case "image/webp":
        return toWebp(getOrMake(this.#webpBases, look, encodeWebpBase), toColours(look));
      default:
        return look.type satisfies never;
    }
  }
}

function getOrMake<Base>(
  bases: Map<string, Base>,
  { type, sitter: number, size }: Look,
  make: (sitter: Sitter, portrait: Portrait) => Base,
): Base {
  const key = `${number} ${size}`;
  const known = bases.get(key);
  if (known !== undefined) return known;
  const sitter = getSitter(number);
  const base = make(sitter, drawPortrait(sitter, size, grains[type]));
  bases.set(key, base);
  return base;
}

function getSitter(number: number): Sitter {
  const sitter = sitters[number];
  if (sitter === undefined) throw new Error(`there is no sitter ${number}`);
  return sitter;
}

function encodeJpegBase(sitter: Sitter, portrait: Portrait): JpegBase {
  const { size, part } = portrait;
  const tones = Uint8Array.from({ length: parts.length * shades }, (_, number) =>
    toBrightness(sitter, Math.floor(number / shades), number % shades),
  );
  const brightness = toColourNumbers(portrait).map((number) => tones[number] ?? 0);
  return toJpegBase(part, soften(brightness, part, size), size);
}

function encodePngBase(_sitter: Sitter, portrait: Portrait): Buffer {
  return deflatePixels(toColourNumbers(portrait), portrait.size);
}

function encodeWebpBase(_sitter: Sitter, portrait: Portrait): WebpBase {
  return toWebpBase(toColourNumbers(portrait), portrait.size, colourCount);
}

/** Where two parts meet, the brightness between them: edges are not ragged. */
function soften(brightness: Uint8Array, part: Uint8Array, size: number): Uint8Array {
  const at = (index: number) => brightness[index] ?? 0;
  return brightness.map((value, index) => {
    const its = part[index];
    const [left, right, above, below] = [index - 1, index + 1, index - size, index + size];
    if (part[left] === its && part[right] === its && part[above] === its && part[below] === its) return value;
    // At the border of the picture there are no four.
    if (above < 0 || below >= part.length) return value;
    return (2 * value + at(left) + at(right) + at(above) + at(below)) / 6;
  });
}

function toColourNumbers({ part, shade }: Portrait): Uint8Array {
  return part.map((its, at) => its * shades + (shade[at] ?? 0));
}

/** Red, green and blue of each colour number, and then the mark. */
function toColours({ sitter, tints, mark }: Look): Uint8Array {
  const colours = new Uint8Array(3 * colourCount);
  const its = getSitter(sitter);
  for (const [number, part] of parts.entries()) {
    for (let shade = 0; shade < shades; shade += 1) {
      colours.set(toRgb(toBrightness(its, number, shade), tints[part]), 3 * (number * shades + shade));
    }
  }
  colours.set(mark, 3 * parts.length * shades);
  return colours;
}
