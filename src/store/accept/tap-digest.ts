import { createHash } from "node:crypto";
import { finished, PassThrough, type Readable } from "node:stream";

export interface TappedSource {
  /** The bytes of the source. To destroy it does not destroy the source, whose socket may still have to answer. */
  readonly passing: Readable;
  /** SHA-256 of all bytes of the source, base64url. Reads the rest of the source to its end. */
  digest(): Promise<string>;
  /** The source has failed, or was closed before its end. */
  readonly isCutOff: () => boolean;
}

/** Computes the digest of a stream of bytes while the caller reads it, in constant memory. */
export function tapDigest(source: Readable): TappedSource {
  const hash = createHash("sha256");
  const passing = new PassThrough();
  let isCutOff = false;
  const ended = new Promise<void>((resolve, reject) => {
    finished(source, { writable: false }, (error) => {
      if (!error) return resolve();
      isCutOff = true;
      passing.destroy(error);
      reject(error);
    });
  });
  // The reader meets the error in `passing`, if there is a reader yet.
  ended.catch(() => undefined);
  passing.on("error", () => undefined);
  source.on("data", (chunk: Buffer | string) => void hash.update(chunk));
  source.pipe(passing);
  return {
    passing,
    isCutOff: () => isCutOff,
    async digest() {
      // The rest is hashed only.
      source.unpipe(passing);
      source.resume();
      await ended;
      return hash.digest("base64url");
    },
  };
}
