import type { BlobStore } from "./blob-store.ts";
import { openDirectoryBlobs } from "./open-directory-blobs.ts";
import { openS3Blobs } from "./open-s3-blobs.ts";
import type { ImagesSetting } from "./parse-images-setting.ts";

/**
 * Opens the store that the setting names; undefined: images are not kept.
 * @throws UserError as the stores say
 */
export async function openBlobs(setting: ImagesSetting): Promise<BlobStore | undefined> {
  switch (setting.kind) {
    case "off":
      return undefined;
    case "directory":
      return openDirectoryBlobs(setting.path);
    case "s3":
      return openS3Blobs(setting);
  }
}
