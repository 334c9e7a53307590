import { createHash } from "node:crypto";
import { drawPictureAt } from "../world/decide-picture.ts";
import type { PictureCount } from "../world/picture-book.ts";
import type { LoggedPicture, PictureLogFilter } from "../world/picture-log.ts";
import type { PictureScript, PictureShares, PictureTarget } from "../world/picture-scripts.ts";
import type { PictureTuning } from "../world/picture-tuning.ts";
import { createPictureTotals } from "../world/picture-world.ts";
import type { Simulation } from "../world/world.ts";
import { parsePictureFaults, parsePictureScript } from "./picture-input.ts";

/** The picture that a chat has now. */
export interface ToldPicture {
  /** The path of its URL. */
  readonly version: string;
  readonly type: string;
  /** Width and height in pixels. */
  readonly size: number;
  readonly bytes: number;
  /** Of the file, in hex. */
  readonly sha256: string;
}

/** What a test or a demo may do about pictures; without the option `pictures` none is served. */
export interface PictureControl {
  /** Sets the answers for a version, a chat or everything, in place of an earlier script for the same. */
  scriptPictures(script: PictureScript): void;
  /** Removes the scripts for this target and for parts of it; all without a target. */
  clearPictureScripts(target?: PictureTarget): void;
  /** Replaces the shares. */
  setPictureFaults(faults: PictureShares): void;
  /** Changes what is given, keeps the rest. */
  setPictures(tuning: Partial<PictureTuning>): void;
  /** What a chat's picture must be; undefined where the chat has none. Scripts and faults do not change it. */
  picture(instanceId: string, chatId: string): ToldPicture | undefined;
  /** Requests of pictures in the order of their arrival. */
  readPictureLog(filter?: PictureLogFilter): LoggedPicture[];
  /** How often each version was asked for; those that were not are not among them. */
  countPictures(filter?: PictureTarget): PictureCount[];
}

export function createPictureControl(simulation: Simulation): PictureControl {
  return {
    scriptPictures: (script) => simulation.world.pictures.scripts.set(parsePictureScript(script)),
    clearPictureScripts: (target) => simulation.world.pictures.scripts.clear(target),
    setPictureFaults(faults) {
      simulation.world.pictures.faults = parsePictureFaults(faults);
    },
    setPictures(tuning) {
      const { pictures } = simulation.world;
      pictures.tuning = { ...pictures.tuning, ...tuning };
    },
    picture: (instanceId, chatId) => tellPicture(simulation, instanceId, chatId),
    readPictureLog: (filter) => simulation.world.pictures.log.read(filter),
    countPictures: (filter) => simulation.world.pictures.book.read(filter),
  };
}

function tellPicture(
  { world, pictures }: Simulation,
  instanceId: string,
  chatId: string,
): ToldPicture | undefined {
  if (world.truths.get(instanceId, chatId).kind !== "present") return undefined;
  const version = world.truths.getAvatarPath(instanceId, chatId);
  const { type, size, bytes } = drawPictureAt(world, pictures.painter, version);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { version, type, size, bytes: bytes.length, sha256 };
}

/** Starts the log and the counts of pictures anew. */
export function clearPictureCounts({ world, pictures }: Simulation): void {
  world.pictures.log.clear();
  world.pictures.book.clearCounts();
  world.pictures.totals = createPictureTotals();
  pictures.peakInFlight = pictures.inFlight;
}
