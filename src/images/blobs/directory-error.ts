import { UserError } from "../../lib/errors.ts";

/** Whether an error of the system has one of these codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}

/**
 * Says what an error of the system means for the folder of images; errors of ours stay as they are.
 * @param folder as the operator named it
 */
export function toDirectoryError(error: unknown, folder: string): UserError {
  if (error instanceof UserError) return error;
  if (hasCode(error, "ENOSPC", "EDQUOT")) {
    const text = `there is no space left for images in ${folder}: make room, or set AVATARS_IMAGES to another place`;
    return new UserError("images-no-space", text, { cause: error, retryable: true });
  }
  if (hasCode(error, "EACCES", "EPERM", "EROFS")) {
    const text = `the folder of images ${folder} cannot be written by this user: give it to the user that we run as, or set AVATARS_IMAGES to another place`;
    return new UserError("images-denied", text, { cause: error });
  }
  if (hasCode(error, "ELOOP", "ENXIO", "ENOTDIR", "EISDIR")) return toUnsafe(folder, error);
  const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
  const text = `the folder of images ${folder} cannot be used${code}: check the disk, and that the folder is still there`;
  return new UserError("images-failed", text, { cause: error, retryable: true });
}

/** What lies under one of our names is a link, which could lead anywhere, or of another kind than we make. */
export function toUnsafe(folder: string, cause?: unknown): UserError {
  const text = `the folder of images ${folder} has a link, or something else that we do not make, under one of our names: it is not followed; remove it`;
  return new UserError("images-unsafe", text, cause === undefined ? {} : { cause });
}

/** The setting names a file, or leads through one. */
export function toNoFolder(folder: string, cause: unknown): UserError {
  return new UserError("images-unsafe", `${folder} is no folder: set AVATARS_IMAGES to another place`, {
    cause,
  });
}
