import type { ContactImage } from "../../src/domain/views/contact-image.ts";

/** Of a contact that shows none, where no API serves images. */
export const noImage: ContactImage = {
  url: undefined,
  sha256: undefined,
  width: undefined,
  height: undefined,
  at: undefined,
  isOld: false,
};
