import { UserError } from "../../lib/errors.ts";

/** The most bytes of one blob: no store reads or takes more. Images are taken up to 5 MiB. */
export const maxBlobBytes = 8 * 1024 * 1024;

/** @throws UserError `images-too-large`: a fault of the caller, who measures images before */
export function assertFits(bytes: Uint8Array): void {
  if (bytes.length <= maxBlobBytes) return;
  const text = `an image of ${bytes.length} bytes is over the ${maxBlobBytes} that are kept`;
  throw new UserError("images-too-large", text);
}
