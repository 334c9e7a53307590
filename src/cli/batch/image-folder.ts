import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { App } from "../../app/app.ts";
import type { ImageType } from "../../domain/images/image.ts";
import type { ResultRow } from "../../domain/views/result-row.ts";
import { openOutput, removeOutput, toWriteError } from "../terminal/output-file.ts";
import { toImageName } from "./image-name.ts";

/** What became of the images of a command. */
export interface WrittenImages {
  readonly written: number;
  /** Files that had these bytes already, and were not touched. */
  readonly unchanged: number;
}

const endings: Readonly<Record<ImageType, string>> = {
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/webp": "webp",
};
/** Files that are written at the same time. */
const atOnce = 8;

/**
 * Writes the image of each contact into a folder, named after its external reference or its chat id. A file that has the bytes is
 * left alone; another one appears whole or not at all, and no link is followed. Files of contacts without an image stay.
 * @throws UserError `file-not-writable`; the signal's reason
 */
export async function writeImageFolder(
  app: App,
  folder: string,
  rows: AsyncIterable<ResultRow>,
  signal?: AbortSignal,
): Promise<WrittenImages> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw toWriteError(folder, error);
  });
  const taken = new Set<string>();
  const counts = { written: 0, unchanged: 0 };
  const iterator = rows[Symbol.asyncIterator]();
  const writeNext = async (): Promise<void> => {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      signal?.throwIfAborted();
      const { sha256 } = next.value.image;
      if (sha256 === undefined) continue;
      const name = toImageName(next.value, taken);
      if (await writeImage(app, join(folder, name), sha256)) counts.written += 1;
      else counts.unchanged += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, writeNext));
  return counts;
}

/** @returns was anything written? */
async function writeImage(app: App, path: string, sha256: string): Promise<boolean> {
  for (const ending of Object.values(endings)) if (await hasBytes(`${path}.${ending}`, sha256)) return false;
  const image = await app.images.read(sha256);
  if (image === undefined) return false;
  const target = `${path}.${endings[image.type]}`;
  const output = await openOutput(target);
  try {
    await new Promise<void>((resolve, reject) => {
      output.stream.write(image.bytes, (error) => (error ? reject(error) : resolve()));
    });
    await output.commit();
  } catch (error) {
    throw toWriteError(target, error);
  } finally {
    await output.discard();
  }
  // A picture of another type that the contact had before.
  for (const ending of Object.values(endings))
    if (ending !== endings[image.type]) await removeOutput(`${path}.${ending}`);
  return true;
}

async function hasBytes(path: string, sha256: string): Promise<boolean> {
  const entry = await lstat(path).catch(() => undefined);
  if (!entry?.isFile()) return false;
  // Whatever lies there may be of any size.
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex") === sha256;
}
