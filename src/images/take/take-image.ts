import { createHash } from "node:crypto";
import type { ImageFacts } from "../../domain/images/image.ts";
import type { ImageSettlement } from "../../domain/images/image-taking.ts";
import { backoffMs } from "../../domain/lookup/decide.ts";
import { assertNever } from "../../lib/errors.ts";
import { decodeBase64Image } from "../decode-base64-image.ts";
import type { BodyPlace } from "../fetch/body-room.ts";
import type { FetchOutcome } from "../fetch/fetch-outcome.ts";
import type { TakenImage } from "../image.ts";
import type { ImageWish } from "./waiting-images.ts";

/** From the first failure on: 30 s, doubling, each time at random up to that; a server that is away for a day is not hammered. */
const retry = { retryBaseMs: 60_000, retryMaxMs: 6 * 3_600_000, maxAttempts: Number.MAX_SAFE_INTEGER };
/** Failures come back no sooner than this. */
const soonestRetryMs = 15_000;

export interface TakePorts {
  readonly fetchImage: (url: string, place: BodyPlace) => Promise<FetchOutcome>;
  /** Resolves when the bytes are stored. */
  readonly putBytes: (image: ImageFacts, bytes: Buffer) => Promise<void>;
  readonly now: () => Date;
  readonly random: () => number;
}

/** How a try ended, and the bytes where there are some: in the place, if they are many. */
export type Taking =
  | { readonly kind: "ended"; readonly settlement: ImageSettlement; readonly bytes: Buffer | undefined }
  /** There was no room for a large image. The try does not count. */
  | { readonly kind: "postponed" };

/** Takes one image and stores its bytes. Rejects when the store is at fault. */
export async function takeImage(ports: TakePorts, wish: ImageWish, place: BodyPlace): Promise<Taking> {
  const outcome = await obtain(ports, wish, place);
  if (outcome.kind === "postponed") return outcome;
  if (outcome.kind !== "taken")
    return { kind: "ended", settlement: toSettlement(ports, wish, outcome), bytes: undefined };
  const { bytes, type, width, height } = outcome;
  const sha256 = createHash("sha256").update(bytes).digest();
  const image = { sha256, type, bytes: bytes.length, width, height };
  await ports.putBytes(image, bytes);
  return { kind: "ended", settlement: { kind: "taken", image, at: ports.now() }, bytes };
}

/** From the answer where it had the image, else from the URL; a URL that is known to be dead is not asked. */
async function obtain(
  { fetchImage, now }: TakePorts,
  wish: ImageWish,
  place: BodyPlace,
): Promise<FetchOutcome> {
  const decoded = wish.base64 === undefined ? undefined : decodeBase64Image(wish.base64);
  if (decoded?.kind === "taken" || (decoded !== undefined && wish.url === undefined)) return decoded;
  if (wish.url === undefined) return { kind: "expired" };
  if (wish.urlExpiresAt !== undefined && wish.urlExpiresAt <= now()) return { kind: "expired" };
  return fetchImage(wish.url, place);
}

function toSettlement(
  { random }: TakePorts,
  wish: ImageWish,
  outcome: Exclude<FetchOutcome, TakenImage | { readonly kind: "postponed" }>,
): ImageSettlement {
  switch (outcome.kind) {
    case "expired":
      return outcome;
    case "gone":
    case "forbidden":
      return { kind: "refused", error: outcome.kind };
    case "refused":
      return { kind: "refused", error: outcome.reason };
    case "failed": {
      const { reason: error, retryAfterMs = 0 } = outcome;
      const retryInMs = Math.max(retryAfterMs, toRetryMs(wish.attempts + 1, random()));
      return { kind: "failed", error, retryInMs };
    }
    default:
      return assertNever(outcome);
  }
}

/** How long a try waits for the next one after so many failures, ms. `random` from 0 to 1. */
export function toRetryMs(failures: number, random: number): number {
  return Math.max(soonestRetryMs, backoffMs(failures, retry, random));
}
