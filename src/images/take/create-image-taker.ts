import type { SettledImage, WantedImage } from "../../domain/images/image-taking.ts";
import { once } from "../../lib/closing/once.ts";
import { settleWithin } from "../../lib/deadline.ts";
import { createBodyRoom, type BodyRoom } from "../fetch/body-room.ts";
import type { FetchGate } from "../fetch/create-fetch-limits.ts";
import { createSettleBuffer, type SettleBuffer, type SettleBufferPorts } from "./settle-buffer.ts";
import { takeImage, type TakePorts } from "./take-image.ts";
import { createWaitingImages, type ImageWish, type TakenWish, type WaitingImages } from "./waiting-images.ts";

/** Takes the images of avatars: beside the calls, never in their way. */
export interface ImageTaker {
  /** Images that have just become wanted. Those without room are taken later, by any process. */
  offer(wishes: readonly ImageWish[]): void;
  /** Takes on what is overdue in Postgres, as far as there is room. For a task, every second or so. */
  takeOn(): Promise<void>;
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
/** Images larger than usual at a time, from the first byte to the row: 5 MiB each. */
const largeAtOnce = 3;
/** Of bytes that are taken and whose rows are not written yet, without large ones: then nothing new is begun. */
const mostHeldBytes = 16 * 1024 * 1024;
/** While the rate of bytes is used up, or rows wait to be written. */
const waitMs = 100;
/** After the store of bytes has failed: images that cannot be kept are not fetched. */
const restMs = 5_000;

export function createImageTaker(ports: ImageTakerPorts): ImageTaker {
  const { gate, events } = ports;
  const onFailed = (images: number, error: unknown) => events.imageDelayed({ images }, error);
  const stages: Stages = {
    waiting: createWaitingImages(bounds),
    room: createBodyRoom(largeAtOnce),
    buffer: createSettleBuffer({ ...ports, onFailed }),
    onFreed: pump,
  };
  const { waiting, room, buffer } = stages;
  const underWay = new Set<Promise<void>>();
  let later: NodeJS.Timeout | undefined;
  let restUntil = 0;
  let isStopped = false;

  const mayBegin = () => !isStopped && room.heldBytes() < mostHeldBytes && ports.now().getTime() >= restUntil;

  function pump(): void {
    while (mayBegin()) {
      const next = waiting.take((wish) => judgeBegin(gate, room, wish));
      if (next === undefined) break;
      const taking = takeNext(ports, stages, next)
        .catch((error: unknown) => {
          restUntil = ports.now().getTime() + restMs;
          events.imageDelayed({ images: 1 }, error);
        })
        .finally(() => {
          gate.end(next.host);
          underWay.delete(taking);
          pump();
        });
      underWay.add(taking);
    }
    // Places that come free by time alone: the rate of bytes, and a store that rests.
    if (waiting.room() < bounds.wishes && !isStopped) later ??= setTimeout(pumpLater, waitMs);
  }

  function pumpLater(): void {
    later = undefined;
    pump();
  }

  return {
    offer(wishes) {
      for (const wish of wishes) waiting.add(wish);
      pump();
    },
    async takeOn() {
      const free = waiting.room();
      if (isStopped || free < bounds.wishes / 2) return;
      const wanted = await ports.claim(Math.min(free, bounds.wishes / 2));
      for (const each of wanted) waiting.add({ ...each, base64: undefined });
      pump();
    },
    stop: once(async (graceMs) => {
      isStopped = true;
      clearTimeout(later);
      await settleWithin(Promise.allSettled(underWay), graceMs);
      await settleWithin(buffer.drain(), graceMs);
    }),
  };
}

/** What an image goes through. */
interface Stages {
  readonly waiting: WaitingImages;
  readonly room: BodyRoom;
  readonly buffer: SettleBuffer;
  /** A place of the room is free again. */
  readonly onFreed: () => void;
}

/** A large one without a place is passed over: smaller ones behind it need none. */
function judgeBegin(
  gate: FetchGate,
  room: BodyRoom,
  { host, isLarge }: Pick<TakenWish, "host" | "isLarge">,
): "may" | "may-not" | "none-may" {
  if (isLarge && !room.hasLarge()) return "may-not";
  const { kind } = gate.begin(host);
  if (kind === "begun") return "may";
  return kind === "host-full" ? "may-not" : "none-may";
}

/** Rejects when the store of bytes is at fault. */
async function takeNext(
  ports: ImageTakerPorts,
  { waiting, room, buffer, onFreed }: Stages,
  { wish, isLarge }: TakenWish,
): Promise<void> {
  const place = room.open();
  let isKept = false;
  try {
    if (isLarge) place.enlarge();
    const taking = await takeImage(ports, wish, place);
    if (taking.kind === "postponed") return waiting.putBack(wish);
    const { settlement, bytes } = taking;
    const error = "error" in settlement ? settlement.error : undefined;
    ports.events.imageTried({ outcome: settlement.kind, error, bytes: bytes?.length ?? 0 });
    isKept = bytes !== undefined;
    place.hold(bytes?.length ?? 0);
    buffer.add({ wanted: wish, settlement }, bytes, () => {
      place.close();
      onFreed();
    });
  } finally {
    if (!isKept) place.close();
  }
}
