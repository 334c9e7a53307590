import { ApiError } from "../answers/problem.ts";

/**
 * A limit for work that lasts or is held in memory. It counts in the process and for each key, so that no key takes it all.
 */
export interface Places {
  /**
   * Takes places for a key, one unless told otherwise. Returns what gives them back; twice is harmless.
   * @throws ApiError `rate-limited` where the key has its share, `unavailable` where all are taken
   */
  take(keyId: string, count?: number): () => void;
  /** Takes places, as `take` does; undefined where there are none. */
  tryTake(keyId: string, count?: number): (() => void) | undefined;
}

export interface PlacesOptions {
  readonly total: number;
  /** Less than the total: others must find a place too. Few holders of a key may make others (scope `keys`). */
  readonly perKey: number;
  /** The thing that so many places are for, in the words of the answer to others. */
  readonly what: string;
}

const retryAfterS = 5;

export function createPlaces({ total, perKey, what }: PlacesOptions): Places {
  let free = total;
  const takenBy = new Map<string, number>();

  function grab(keyId: string, count: number): () => void {
    free -= count;
    takenBy.set(keyId, (takenBy.get(keyId) ?? 0) + count);
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      free += count;
      const left = (takenBy.get(keyId) ?? 0) - count;
      if (left > 0) takenBy.set(keyId, left);
      else takenBy.delete(keyId);
    };
  }

  const isOwnFull = (keyId: string, count: number) => (takenBy.get(keyId) ?? 0) + count > perKey;

  return {
    take(keyId, count = 1) {
      if (isOwnFull(keyId, count)) {
        throw new ApiError(
          "rate-limited",
          `one key has ${perKey} ${what} at once in each server, and no more: wait until others of this key have ended`,
          { retryAfterS },
        );
      }
      if (count > free) {
        throw new ApiError(
          "unavailable",
          `this server serves ${total} ${what} at once, and no more: try again`,
          {
            retryAfterS,
          },
        );
      }
      return grab(keyId, count);
    },
    tryTake: (keyId, count = 1) => (isOwnFull(keyId, count) || count > free ? undefined : grab(keyId, count)),
  };
}
