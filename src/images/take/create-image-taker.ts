import type { SettledImage, WantedImage } from "../../domain/images/image-taking.ts";
import { once } from "../../lib/closing/once.ts";
import { settleWithin } from "../../lib/deadline.ts";
import type { FetchGate } from "../fetch/create-fetch-limits.ts";
import { createSettleBuffer, type SettleBufferPorts } from "./settle-buffer.ts";
import { takeImage, type TakePorts } from "./take-image.ts";
import { createWaitingImages, type ImageWish } from "./waiting-images.ts";

/** Takes the images of avatars: beside the calls, never in their way. */
export interface ImageTaker {
  /** Images that have just become wanted. Those without room are taken later, by any process. */
  offer(wishes: readonly ImageWish[]): void;
  /** Takes on what is overdue in Postgres, as far as there is room. For a task, every second or so. */
  takeOn(): Promise<void>;
  /** Tries under way, waiting ones, and rows not written yet. */
  isIdle(): boolean;
  /** Begins nothing new, and waits for what is under way as long as `graceMs`. Twice is harmless. */
  stop(graceMs: number): Promise<void>;
}

export interface ImageTakerEvents {
  /** One try has ended. */
  imageTried(fields: {
    readonly outcome: SettledImage["settlement"]["kind"];
    readonly error: string | undefined;
    readonly bytes: number;
  }): void;
  /** The store of bytes, or Postgres, does not take it now: it stays wanted. */
  imageDelayed(fields: { readonly images: number }, error: unknown): void;
}

export interface ImageTakerPorts extends TakePorts, Pick<SettleBufferPorts, "settle" | "isStored"> {
  readonly gate: FetchGate;
  /** Images that are overdue, at most `limit`. */
  readonly claim: (limit: number) => Promise<readonly WantedImage[]>;
  readonly events: ImageTakerEvents;
}

/** As many as a process takes in some seconds; base64 of some hundred of the usual size. */
const bounds = { wishes: 500, chars: 32 * 1024 * 1024 };
/** Of bytes that are taken and whose rows are not written yet: then nothing new is begun. */
const mostHeldBytes = 48 * 1024 * 1024;
/** While the rate of bytes is used up, or rows wait to be written. */
const waitMs = 100;
/** After the store of bytes has failed: images that cannot be kept are not fetched. */
const restMs = 5_000;

export function createImageTaker(ports: ImageTakerPorts): ImageTaker {
  const { gate, events } = ports;
  const waiting = createWaitingImages(bounds);
  const buffer = createSettleBuffer({
    ...ports,
    onFailed: (images, error) => events.imageDelayed({ images }, error),
  });
  const underWay = new Set<Promise<void>>();
  let later: NodeJS.Timeout | undefined;
  let restUntil = 0;
  let isStopped = false;

  function judge(host: string): "may" | "may-not" | "none-may" {
    const { kind } = gate.begin(host);
    if (kind === "begun") return "may";
    return kind === "host-full" ? "may-not" : "none-may";
  }

  const mayBegin = () =>
    !isStopped && buffer.heldBytes() < mostHeldBytes && ports.now().getTime() >= restUntil;

  function pump(): void {
    while (mayBegin()) {
      const next = waiting.take(judge);
      if (next === undefined) break;
      const taking = take(next.wish).finally(() => {
        gate.end(next.host);
        underWay.delete(taking);
        pump();
      });
      underWay.add(taking);
    }
    // Places that come free by time alone: the rate of bytes, and rows that are written.
    if (waiting.room() < bounds.wishes && !isStopped) later ??= setTimeout(pumpLater, waitMs);
  }

  function pumpLater(): void {
    later = undefined;
    pump();
  }

  async function take(wish: ImageWish): Promise<void> {
    try {
      const { settlement, bytes } = await takeImage(ports, wish);
      const error = "error" in settlement ? settlement.error : undefined;
      events.imageTried({ outcome: settlement.kind, error, bytes: bytes?.length ?? 0 });
      buffer.add({ wanted: wish, settlement }, bytes);
    } catch (error) {
      restUntil = ports.now().getTime() + restMs;
      events.imageDelayed({ images: 1 }, error);
    }
  }

  return {
    offer(wishes) {
      for (const wish of wishes) waiting.add(wish);
      pump();
    },
    async takeOn() {
      const room = waiting.room();
      if (isStopped || room < bounds.wishes / 2) return;
      const wanted = await ports.claim(Math.min(room, bounds.wishes / 2));
      for (const each of wanted) waiting.add({ ...each, base64: undefined });
      pump();
    },
    isIdle: () => underWay.size === 0 && waiting.room() === bounds.wishes && buffer.heldBytes() === 0,
    stop: once(async (graceMs) => {
      isStopped = true;
      clearTimeout(later);
      await settleWithin(Promise.allSettled(underWay), graceMs);
      await settleWithin(buffer.drain(), graceMs);
    }),
  };
}
