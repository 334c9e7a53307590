import { ApiError } from "./problem.ts";

/** A limit for requests that take long: whoever finds no place is told to come again. */
export interface Places {
  /** @throws ApiError `unavailable`. Returns what gives the place back; twice is harmless. */
  take(): () => void;
}

const retryAfterS = 5;

/** @param what so many at once are served, in the words of the answer to others */
export function createPlaces(count: number, what: string): Places {
  let free = count;
  return {
    take() {
      if (free <= 0) {
        throw new ApiError(
          "unavailable",
          `this server serves ${count} ${what} at once, and no more: try again`,
          {
            retryAfterS,
          },
        );
      }
      free -= 1;
      let isTaken = true;
      return () => {
        if (isTaken) free += 1;
        isTaken = false;
      };
    },
  };
}
