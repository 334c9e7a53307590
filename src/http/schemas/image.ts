import { z } from "zod";
import type { ContactImage } from "../../domain/views/contact-image.ts";
import { moment, orNull } from "./common.ts";

/** The image of a contact, beside its other fields. */
export const imageFields = {
  imageUrl: z.string().nullable().meta({
    description:
      "The address of the contact's image: the same for ever, whatever it shows. Without AVATARS_PUBLIC_URL a path; null: images are off.",
  }),
  imageSha256: z
    .string()
    .nullable()
    .meta({ description: "Of its bytes, in hex; null: there is none to show." }),
  imageWidth: z.int().nullable(),
  imageHeight: z.int().nullable(),
  imageAt: moment.nullable().meta({ description: "When its bytes were taken." }),
  imageOld: z.boolean().meta({
    description:
      "It is the last good one: the contact is hidden now, or has a newer one that is not taken yet.",
  }),
};

/** The same as the wire has it. */
export function toImageFields(image: ContactImage) {
  return {
    imageUrl: orNull(image.url),
    imageSha256: orNull(image.sha256),
    imageWidth: orNull(image.width),
    imageHeight: orNull(image.height),
    imageAt: orNull(image.at),
    imageOld: image.isOld,
  };
}
