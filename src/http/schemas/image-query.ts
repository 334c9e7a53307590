import { z } from "zod";
import { imageSizes, type ImageSize } from "../../domain/images/image.ts";

const fallbacks = ["404", "blank", "silhouette"] as const;

/** Other parameters are passed over: they are added to addresses to get around caches. */
export const imageQuery = z.object({
  size: z
    .enum(imageSizes.map(String) as [`${ImageSize}`, ...`${ImageSize}`[]])
    .transform((text) => Number(text) as ImageSize)
    .optional()
    .meta({
      description: "A square of so many pixels, never enlarged; without it the image as it was taken.",
    }),
  fallback: z.enum(fallbacks).default("404").meta({
    description:
      "What is answered where there is no image: a problem, a transparent pixel, or a drawing of ours whose colour is the contact's.",
  }),
  v: z
    .string()
    .regex(/^[0-9a-f]{16}$/, "the first 16 hex digits of the image's SHA-256")
    .optional()
    .meta({
      description:
        "The first 16 digits of `imageSha256`: the answer may be kept for a day. An old one is redirected to the present one.",
    }),
});

export type ImageQuery = z.output<typeof imageQuery>;

export const imageSizeQuery = imageQuery.pick({ size: true });
