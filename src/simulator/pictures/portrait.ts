/** The parts of a portrait that have a colour of their own, by their number in a map. */
export const parts = ["background", "shirt", "skin", "hair", "dark", "white", "lips"] as const;
export type Part = (typeof parts)[number];

/** What sets one portrait apart from the others. Lengths are shares of the picture's side. */
export interface Sitter {
  readonly headWidth: number;
  readonly headHeight: number;
  readonly hair: "short" | "long" | "curly" | "bald" | "bun" | "cap";
  readonly glasses: boolean;
  readonly beard: boolean;
  /** How wide the mouth smiles, 0 to 1. */
  readonly smile: number;
  /** The brightness of each part, 0 to 255. */
  readonly brightness: Readonly<Record<Part, number>>;
}

/** A portrait without colours: which part each pixel shows, and how light it is there. Row by row. */
export interface Portrait {
  readonly size: number;
  /** An index into `parts`. */
  readonly part: Uint8Array;
  /** 0 to 15; 12 is the part's own brightness. */
  readonly shade: Uint8Array;
}

/** Shades by which a part is lighter or darker than itself. */
export const shades = 16;
export const plainShade = 12;

/** Who is drawn: heads and shoulders, all upright. */
export const sitters: readonly Sitter[] = [
  sit("short", { skin: 205, hair: 70, shirt: 95, background: 175 }),
  sit("long", { skin: 190, hair: 55, shirt: 150, background: 205 }, { headWidth: 0.165 }),
  sit("curly", { skin: 105, hair: 38, shirt: 175, background: 150 }, { smile: 0.9 }),
  sit("bald", { skin: 180, hair: 60, shirt: 70, background: 190 }, { beard: true, headWidth: 0.185 }),
  sit("bun", { skin: 150, hair: 45, shirt: 190, background: 120 }, { glasses: true, headWidth: 0.165 }),
  sit("short", { skin: 130, hair: 35, shirt: 200, background: 95 }, { beard: true, smile: 0.4 }),
  sit("cap", { skin: 195, hair: 85, shirt: 120, background: 215 }, { smile: 0.8 }),
  sit("long", { skin: 210, hair: 165, shirt: 85, background: 130 }, { glasses: true }),
];

function sit(
  hair: Sitter["hair"],
  tones: Pick<Sitter["brightness"], "skin" | "hair" | "shirt" | "background">,
  rest: Partial<Sitter> = {},
): Sitter {
  const brightness = { ...tones, dark: 40, white: 235, lips: tones.skin * 0.68 };
  const plain = { headWidth: 0.175, headHeight: 0.235, glasses: false, beard: false, smile: 0.65 };
  return { ...plain, hair, ...rest, brightness };
}

/** Draws a sitter on a square of `size` pixels. `grain` is the noise of a camera, in shades. */
export function drawPortrait(sitter: Sitter, size: number, grain: number): Portrait {
  const portrait = { size, part: new Uint8Array(size * size), shade: new Uint8Array(size * size) };
  let noise = 0x2545f491;
  for (let row = 0, at = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1, at += 1) {
      const x = (column + 0.5) / size - 0.5;
      const y = (row + 0.5) / size;
      const part = findPart(sitter, x, y);
      noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) | 0;
      const light = findLight(part, x, y) + (noise / 4_294_967_296) * 2 * grain;
      portrait.part[at] = partNumbers[part];
      portrait.shade[at] = Math.max(0, Math.min(shades - 1, Math.round(plainShade + light)));
    }
  }
  return portrait;
}

const partNumbers = Object.fromEntries(parts.map((part, index) => [part, index])) as Record<Part, number>;

/** The height of the head's middle, and of what sits in a face. */
const headY = 0.44;
const eyeY = 0.43;
const eyeX = 0.068;

/** What is seen at a point: `x` from the middle, `y` from the top. */
function findPart(sitter: Sitter, x: number, y: number): Part {
  const { headWidth, headHeight } = sitter;
  const head = toEllipse(x, y - headY, headWidth, headHeight);
  if (y < 0.5 && hairs[sitter.hair]({ x, y, headWidth, off: head > 1 })) return "hair";
  if (head < 1) return findFeature(sitter, Math.abs(x), y);
  if (toEllipse(Math.abs(x) - headWidth, y - 0.45, 0.028, 0.05) < 1) return "skin";
  if (y > 0.6 && y < 0.86 && toEllipse(x, y - 0.7, 0.085, 0.135) < 1) return "skin";
  if (sitter.hair === "long" && y < 0.82 && toEllipse(x, y - 0.5, 0.245, 0.33) < 1) return "hair";
  return toEllipse(x, y - 1.08, 0.43, 0.34) < 1 ? "shirt" : "background";
}

interface HeadPoint {
  readonly x: number;
  readonly y: number;
  readonly headWidth: number;
  /** Whether the point is off the head. */
  readonly off: boolean;
}

/** Whether hair, or a cap, is seen at a point in front of the head or above it. */
const hairs: Readonly<Record<Sitter["hair"], (point: HeadPoint) => boolean>> = {
  bald: () => false,
  short: ({ x, y, headWidth }) =>
    toEllipse(x, y - 0.33, headWidth + 0.018, 0.165) < 1 && y < 0.325 + 0.36 * Math.abs(x) - 0.05 * x,
  long: ({ x, y, headWidth, off }) =>
    toEllipse(x, y - 0.36, headWidth + 0.035, 0.2) < 1 &&
    (off || y < 0.33 - 0.5 * x * x + 0.35 * Math.abs(x + 0.03)),
  curly: ({ x, y, off }) =>
    toEllipse(x, y - 0.3, 0.25 + 0.008 * Math.sin(26 * Math.atan2(y - 0.3, x)), 0.19) < 1 &&
    y < 0.3 + 1.6 * x * x + (off ? 0.16 : 0),
  bun: ({ x, y, headWidth }) =>
    toEllipse(x, y - 0.15, 0.075, 0.07) < 1 ||
    (toEllipse(x, y - 0.345, headWidth + 0.014, 0.17) < 1 && y < 0.305 + 2.4 * x * x),
  cap: ({ x, y, headWidth }) =>
    (toEllipse(x, y - 0.31, headWidth + 0.022, 0.155) < 1 && y < 0.325) ||
    toEllipse(x, y - 0.328, headWidth + 0.055, 0.024) < 1,
};

/** What is seen within the face; `x` is the distance from its middle. */
function findFeature(sitter: Sitter, x: number, y: number): Part {
  if (sitter.glasses) {
    const lens = toEllipse(x - eyeX, y - eyeY, 0.053, 0.047);
    if (lens < 1 && lens > 0.7) return "dark";
    if (Math.abs(y - eyeY + 0.01) < 0.006 && (x < 0.018 || x > 0.118)) return "dark";
  }
  if (toEllipse(x - eyeX, y - eyeY, 0.0145, 0.0155) < 1) return "dark";
  if (toEllipse(x - eyeX, y - eyeY, 0.031, 0.018) < 1) return "white";
  if (toEllipse(x - eyeX, y - eyeY + 0.052 - 0.4 * (x - eyeX) ** 2, 0.04, 0.0085) < 1) {
    return sitter.hair === "cap" ? "dark" : "hair";
  }
  const mouthY = 0.565 + sitter.smile * (0.02 - 4.5 * x * x);
  const mouthHalf = 0.013 * Math.sqrt(Math.max(0, 1 - (x / 0.068) ** 2));
  if (Math.abs(y - mouthY) < mouthHalf) return "lips";
  if (sitter.beard && y > 0.525 + 0.45 * (0.17 - x) ** 2 - 1.1 * Math.max(0, x - 0.09)) {
    return toEllipse(x, y - mouthY, 0.078, 0.026) < 1 ? "skin" : "hair";
  }
  return "skin";
}

/** How much lighter or darker than itself a part is at a point, in shades: the light falls from the upper left. */
function findLight(part: Part, x: number, y: number): number {
  switch (part) {
    case "background":
      return (
        2.2 -
        5 * toEllipse(x + 0.12, y - 0.3, 0.85, 0.95) +
        0.9 * Math.sin(9 * x + 5 * y) * Math.sin(7 * y - 3 * x)
      );
    case "skin": {
      const nose = toEllipse(x - 0.008, y - 0.505, 0.022, 0.02) < 1 ? -1.1 : 0;
      const chin = -3.2 * Math.max(0, 1 - (Math.max(0, y - 0.66) / 0.13) ** 2) * (y > 0.66 ? 1 : 0);
      return 1.6 - 28 * ((x + 0.05) ** 2 + (y - 0.42) ** 2) + nose + chin;
    }
    case "hair":
      return 1 - 18 * (x + 0.06) ** 2 + 0.8 * Math.sin(70 * x + 20 * y);
    case "shirt":
      return 1 - 7 * Math.abs(x + 0.05) - (Math.abs(Math.abs(x) - 0.35 * (y - 0.74)) < 0.008 ? 3 : 0);
    case "dark":
    case "white":
    case "lips":
      return 0;
    default:
      return part satisfies never;
  }
}

/** Below 1 within an ellipse around the origin, above it outside. */
function toEllipse(x: number, y: number, halfWidth: number, halfHeight: number): number {
  return (x / halfWidth) ** 2 + (y / halfHeight) ** 2;
}
