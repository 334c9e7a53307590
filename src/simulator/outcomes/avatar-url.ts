import { createRandomOf, type Random } from "./random.ts";

const dayMs = 86_400_000;
const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** A picture of one pixel. */
export const pixelBase64 =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/** The path of a chat's `picture`-th picture on WhatsApp's CDN: stable as long as the picture is the same. */
export function toAvatarPath(seed: number, chatId: string, picture: number): string {
  const random = createRandomOf(`picture ${picture} of ${chatId}`, seed);
  const digits = (count: number) => String(Math.floor((1 + 9 * random()) * 10 ** (count - 1)));
  return `/v/t61.24694-24/${digits(9)}_${digits(15)}_${digits(15)}_n.jpg`;
}

/** How long a URL is valid, in ms: 2 to 10 days, as in the samples. */
export function drawLifetimeMs(random: Random): number {
  return (2 + 8 * random()) * dayMs;
}

/** A URL as WhatsApp hands it out: two for one path differ in `oh`, `oe` and `_nc_cat`. */
export function toAvatarUrl(path: string, expiresAtMs: number | undefined, random: Random): string {
  const signature = Array.from({ length: 43 }, () => base64Digits[Math.floor(random() * 64)]).join("");
  const expiry = expiresAtMs === undefined ? "" : `&oe=${toHexSeconds(expiresAtMs)}`;
  const category = 100 + Math.floor(random() * 12);
  return `https://pps.whatsapp.net${path}?ccb=11-4&oh=01_Q5Aa${signature}${expiry}&_nc_sid=5e03e0&_nc_cat=${category}`;
}

export function toHexSeconds(moment: number): string {
  return Math.floor(moment / 1000)
    .toString(16)
    .toUpperCase();
}
