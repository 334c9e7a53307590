import { PictureBook } from "./picture-book.ts";
import { PictureLog } from "./picture-log.ts";
import { PictureScripts, type PictureShares } from "./picture-scripts.ts";
import type { PictureTuning } from "./picture-tuning.ts";
import type { Settings } from "./simulator-options.ts";

/** All about pictures that changes while the simulator runs. */
export interface PictureWorld {
  tuning: PictureTuning;
  faults: PictureShares;
  readonly scripts: PictureScripts;
  readonly book: PictureBook;
  readonly log: PictureLog;
  totals: PictureTotals;
}

/** What requests of pictures ended in, since the start or the last clearing of the log. */
export interface PictureTotals {
  requests: number;
  /** Bytes of bodies that were given to connections. */
  bytes: number;
  /** By HTTP status; 499 where the client hung up first, 0 where the simulator sent none. */
  readonly byStatus: Map<number, number>;
  readonly byOutcome: Map<string, number>;
}

export function createPictureWorld(settings: Settings): PictureWorld {
  return {
    tuning: settings,
    faults: settings.pictureFaults,
    scripts: new PictureScripts(),
    book: new PictureBook(),
    log: new PictureLog(settings.pictureLogCapacity),
    totals: createPictureTotals(),
  };
}

export function createPictureTotals(): PictureTotals {
  return { requests: 0, bytes: 0, byStatus: new Map(), byOutcome: new Map() };
}
