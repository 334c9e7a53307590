import { createHash } from "node:crypto";
import { type Part, parts, plainShade, type Sitter, sitters } from "./portrait.ts";

export type PictureType = "image/jpeg" | "image/png" | "image/webp";

/** A colour without its brightness: how far from grey, to blue and to red (Cb and Cr less 128). */
export interface Tint {
  readonly blue: number;
  readonly red: number;
}

/** What a picture shows, drawn from its seed. */
export interface Look {
  readonly type: PictureType;
  /** Width and height in pixels. */
  readonly size: 640 | 96;
  readonly sitter: number;
  readonly tints: Readonly<Record<Part, Tint>>;
  /** 16 bytes that no other picture has: they go into its file, so that no two are equal. */
  readonly mark: Uint8Array;
}

/** Most are JPEG and large, as on WhatsApp's CDN. */
const shares = { png: 0.1, webp: 0.1, small: 0.12 };

const plain: Tint = { blue: 0, red: 0 };

/** Hair by its brightness is black, brown, red or fair; caps have any colour. */
const hairTints: readonly Tint[] = [
  plain,
  { blue: -8, red: 7 },
  { blue: -14, red: 13 },
  { blue: -12, red: 22 },
];

/** The look of the picture that belongs to `seed`: the same on every machine. */
export function drawLook(seed: string): Look {
  const digest = createHash("sha256").update(seed).digest();
  const draw = (index: number) => digest.readUInt16BE(2 * index) / 65_536;
  const form = draw(0);
  const type =
    form < shares.png ? "image/png" : form < shares.png + shares.webp ? "image/webp" : "image/jpeg";
  const sitter = Math.floor(draw(1) * sitters.length);
  const warmth = 0.8 + 0.4 * draw(2);
  const hair =
    sitters[sitter]?.hair === "cap" ? toTint(draw(3), 50) : hairTints[Math.floor(draw(3) * hairTints.length)];
  return {
    type,
    size: draw(4) < shares.small ? 96 : 640,
    sitter,
    tints: {
      background: toTint(draw(5), 14 + 36 * draw(6)),
      shirt: toTint(draw(7), 20 + 45 * draw(6)),
      skin: { blue: -20 * warmth, red: 22 * warmth },
      hair: hair ?? plain,
      dark: plain,
      white: plain,
      lips: { blue: -8, red: 34 },
    },
    mark: digest.subarray(16),
  };
}

/** The tint at a part of the way round the circle of colours, 0 to 1. */
function toTint(turn: number, strength: number): Tint {
  const angle = 2 * Math.PI * turn;
  return { blue: strength * Math.cos(angle), red: strength * Math.sin(angle) };
}

/** The brightness of a part in one of its shades, 0 to 255. */
export function toBrightness(sitter: Sitter, part: number, shade: number): number {
  return Math.min(255, sitter.brightness[parts[part] ?? "background"] * (1 + 0.045 * (shade - plainShade)));
}

/** The red, green and blue of a brightness and a tint, 0 to 255 each, as JFIF has it. */
export function toRgb(brightness: number, { blue, red }: Tint): [number, number, number] {
  return [
    toByte(brightness + 1.402 * red),
    toByte(brightness - 0.344_136 * blue - 0.714_136 * red),
    toByte(brightness + 1.772 * blue),
  ];
}

function toByte(value: number): number {
  return Math.max(0, Math.min(255, Math.round(value)));
}
