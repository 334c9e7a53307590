import type { WantedImage } from "../../domain/images/image-taking.ts";

/** An image that waits to be taken: from its URL, or from the answer that had it. */
export interface ImageWish extends WantedImage {
  /** Base64, or a `data:` URI with it, as the answer had it. */
  readonly base64: string | undefined;
}

export interface TakenWish {
  readonly wish: ImageWish;
  /** One word for each server; images out of answers have none. */
  readonly host: string;
}

export interface WaitingBounds {
  readonly wishes: number;
  /** Of base64 that waits, over all wishes. */
  readonly chars: number;
}

/** Wishes in the order in which they came, one of each contact. What has no room is left to Postgres, where it stays wanted. */
export interface WaitingImages {
  /** Takes the place of an earlier wish of the contact. False: there is no room. */
  add(wish: ImageWish): boolean;
  /** Takes the first one out that may begin. `none-may`: the rest is not looked at. */
  take(judge: (host: string) => "may" | "may-not" | "none-may"): TakenWish | undefined;
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
      if (earlier) remove(earlier);
      const added = wish.base64?.length ?? 0;
      if (byContact.size >= bounds.wishes || chars + added > bounds.chars) return false;
      byContact.set(wish.contactId, { wish, host: toHost(wish.url) });
      chars += added;
      return true;
    },
    take(judge) {
      for (const waiting of byContact.values()) {
        const verdict = judge(waiting.host);
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

function toHost(url: string | undefined): string {
  return url !== undefined && URL.canParse(url) ? new URL(url).host : "";
}
