import { maxImageBytes } from "../image.ts";

/** Up to here a body is a usual one, and has its place without asking: WhatsApp's own have some 100 KiB. */
export const usualBodyBytes = 256 * 1024;

/** Where one body is held, from its first byte until the row of its image is written. */
export interface BodyPlace {
  /** A buffer for the largest body, the same one each time. Undefined: other large bodies have all of them. */
  enlarge(): Buffer | undefined;
  /** Counts a usual body that waits for its row; a large one is counted already. */
  hold(bytes: number): void;
  /** Gives all back: from then on nothing may read the bytes. Twice is harmless. */
  close(): void;
}

/**
 * The memory of all bodies of a process. A usual body always has a place: how many there are is bounded by the fetches in flight.
 * Large ones share a few buffers, which are used again and again: garbage of that size would outgrow what it is garbage of.
 */
export interface BodyRoom {
  /** A place for a usual body. */
  open(): BodyPlace;
  /** Is there a buffer for one more large body? */
  hasLarge(): boolean;
  /** Bytes of usual bodies that wait for their rows. */
  heldBytes(): number;
}

/** @param largeBodies at a time, each of up to `largeBytes`; a buffer is made when it is first needed, and kept */
export function createBodyRoom(largeBodies: number, largeBytes = maxImageBytes): BodyRoom {
  const unused: Buffer[] = [];
  let largeNow = 0;
  let heldNow = 0;

  function open(): BodyPlace {
    let large: Buffer | undefined;
    let held = 0;
    let isClosed = false;
    return {
      enlarge() {
        if (large !== undefined || isClosed || largeNow >= largeBodies) return large;
        largeNow += 1;
        large = unused.pop() ?? Buffer.allocUnsafeSlow(largeBytes);
        return large;
      },
      hold(bytes) {
        if (large !== undefined || isClosed) return;
        heldNow += bytes - held;
        held = bytes;
      },
      close() {
        isClosed = true;
        heldNow -= held;
        held = 0;
        if (large === undefined) return;
        largeNow -= 1;
        unused.push(large);
        large = undefined;
      },
    };
  }

  return { open, hasLarge: () => largeNow < largeBodies, heldBytes: () => heldNow };
}
