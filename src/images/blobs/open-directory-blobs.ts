import { UserError } from "../../lib/errors.ts";
import { putOriginalsFirst } from "./blob-key.ts";
import { assertFits } from "./blob-bytes.ts";
import type { BlobEntry, BlobStore } from "./blob-store.ts";
import {
  listBlobs,
  measureBlob,
  readBlob,
  removeBlobs,
  removeFile,
  removeOldDrafts,
  writeBlob,
  writeDraft,
} from "./directory-files.ts";
import { toDirectoryError } from "./directory-error.ts";
import { holdDirectory } from "./held-directory.ts";

/**
 * Images in a folder: mode 0700, files 0600. Each is written under a draft's name, synced, and renamed. Nothing follows a
 * link out of it. On Linux the folder stays the one that was opened, also where its path is exchanged.
 * @param folder absolute; made where it is missing
 * @param now ms since 1970
 * @throws UserError as toDirectoryError says
 */
export async function openDirectoryBlobs(folder: string, now: () => number = Date.now): Promise<BlobStore> {
  const held = await holdDirectory(folder);
  const { root, drafts } = held;
  const pending = new Set<Promise<unknown>>();
  let isClosed = false;

  async function work<Result>(step: () => Promise<Result>): Promise<Result> {
    if (isClosed) throw new UserError("images-closed", "the store of images is closed");
    const result = step();
    pending.add(result);
    try {
      return await result;
    } catch (error) {
      throw toDirectoryError(error, folder);
    } finally {
      pending.delete(result);
    }
  }

  return {
    put: (key, bytes) =>
      work(async () => {
        assertFits(bytes);
        await writeBlob(held, key, bytes, folder);
      }),
    get: (key) =>
      work(async () => {
        const bytes = await readBlob(root, key, folder);
        return bytes && { bytes, size: bytes.length };
      }),
    has: (key) =>
      work(async () => {
        const size = await measureBlob(root, key, folder);
        return size === undefined ? undefined : { size };
      }),
    remove: (keys) =>
      work(async () => {
        const { originals, sizes } = putOriginalsFirst(keys);
        await removeBlobs(root, [...originals, ...sizes], folder);
      }),
    async *list(): AsyncGenerator<BlobEntry> {
      await work(() => removeOldDrafts(drafts, now()));
      const entries = listBlobs(root);
      for (;;) {
        const next = await work(() => entries.next());
        if (next.done) return;
        yield next.value;
      }
    },
    describe: () => `images are kept in the folder ${folder}`,
    check: () =>
      work(async () => {
        await removeOldDrafts(drafts, now());
        await removeFile(await writeDraft(drafts, Buffer.from("written to see that it can be")));
        return held.isOpenToOthers
          ? [`other users may write in the folder of images ${folder}: chmod 700 keeps it to its owner`]
          : [];
      }),
    async close() {
      if (isClosed) return;
      isClosed = true;
      // The number by which the folder is held means another file afterwards.
      await Promise.allSettled(pending);
      held.release();
    },
  };
}
