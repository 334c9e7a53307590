import type { WantedImage } from "../../domain/images/image-taking.ts";
import { usualBodyBytes } from "../fetch/body-room.ts";

/** An image that waits to be taken: from its URL, or from the answer that had it. */
export interface ImageWish extends WantedImage {
  /** Base64, or a `data:` URI with it, as the answer had it. */
  readonly base64: string | undefined;
}

export interface TakenWish {
  readonly wish: ImageWish;
  /** One word for each server; images out of answers have none. */
  readonly host: string;
  /** Larger than usual, as a try or its base64 has told: it begins only where there is room for such a body. */
  readonly isLarge: boolean;
}

export interface WaitingBounds {
  readonly wishes: number;
  /** Of base64 that waits, over all wishes. */
  readonly chars: number;
}

/** Wishes in the order in which they came, one of each contact. What has no room is left to Postgres, where it stays wanted. */
export interface WaitingImages {
  /** Takes the place of an earlier wish of the contact, in its turn. False: there is no room. */
  add(wish: ImageWish): boolean;
  /** Adds one again that was taken out and has turned out to be large; a wish of the contact that came since is left alone. */
  putBack(wish: ImageWish): void;
  /** Takes the first one out that may begin. `none-may`: the rest is not looked at. */
  take(
    judge: (waiting: Pick<TakenWish, "host" | "isLarge">) => "may" | "may-not" | "none-may",
  ): TakenWish | undefined;
  /** Places that are free. */
  room(): number;
}

export function createWaitingImages(bounds: WaitingBounds): WaitingImages {
  const byContact = new Map<number, TakenWish>();
  let chars = 0;

  function remove({ wish }: TakenWish): void {
    byContact.delete(wish.contactId);
    chars -= wish.base64?.length ?? 0;
  }

  return {
    add(wish) {
      const earlier = byContact.get(wish.contactId);
      const more = (wish.base64?.length ?? 0) - (earlier?.wish.base64?.length ?? 0);
      if ((!earlier && byContact.size >= bounds.wishes) || chars + more > bounds.chars) {
        if (earlier) remove(earlier);
        return false;
      }
      byContact.set(wish.contactId, { wish, host: toHost(wish.url), isLarge: isKnownLarge(wish, earlier) });
      chars += more;
      return true;
    },
    putBack(wish) {
      if (byContact.has(wish.contactId) || byContact.size >= bounds.wishes) return;
      // Its base64 has been looked at.
      const rest = { ...wish, base64: undefined };
      byContact.set(wish.contactId, { wish: rest, host: toHost(wish.url), isLarge: true });
    },
    take(judge) {
      for (const waiting of byContact.values()) {
        const verdict = judge(waiting);
        if (verdict === "none-may") return undefined;
        if (verdict === "may-not") continue;
        remove(waiting);
        return waiting;
      }
      return undefined;
    },
    room: () => Math.max(0, bounds.wishes - byContact.size),
  };
}

/** By its base64, which has four signs for three bytes; or by what was learnt of the same URL. */
function isKnownLarge({ base64, url }: ImageWish, earlier: TakenWish | undefined): boolean {
  if ((base64?.length ?? 0) > (usualBodyBytes * 4) / 3) return true;
  return earlier !== undefined && earlier.isLarge && url !== undefined && url === earlier.wish.url;
}

function toHost(url: string | undefined): string {
  return url !== undefined && URL.canParse(url) ? new URL(url).host : "";
}
