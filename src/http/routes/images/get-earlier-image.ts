import { z } from "zod";
import { imageTypes } from "../../../domain/images/image.ts";
import type { ImageOfContact } from "../../../domain/images/image-of-contact.ts";
import { ApiError } from "../../answers/problem.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { describe, problems, textAnswer } from "../../openapi/describe.ts";
import { contactIdParams } from "../../schemas/contact.ts";
import { imageSizeQuery } from "../../schemas/image-query.ts";
import { contactIdPath, getVisibleContact, type FindsContact } from "../contacts/contact-of-request.ts";
import { answerBytes, createImageMemory, getImages, type ImageRoutePorts } from "./image-answer.ts";

interface EarlierImagePorts extends FindsContact, ImageRoutePorts {
  readonly contacts: FindsContact["contacts"] & {
    findImage(contactId: number, sha256: Buffer): Promise<ImageOfContact>;
  };
}

const read = { scopes: ["read"] } as const;

const getEarlierImageSchema = {
  ...describe({
    id: "getEarlierImage",
    tag: "Contacts",
    summary: "An image that the contact shows, or showed once.",
    description:
      "By its hash, as the history tells it, while its bytes are kept (AVATARS_KEEP_IMAGES): 410 after that.",
    access: read,
  }),
  params: contactIdParams.extend({
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "Expected a SHA-256 in hex")
      .meta({ description: "`imageSha256` or `fromImageSha256` of a change." }),
  }),
  querystring: imageSizeQuery,
  response: {
    200: textAnswer("Its bytes.", z.string().meta({ format: "binary" }), ...imageTypes),
    304: z.undefined().describe("It has not changed."),
    ...problems(read, "invalid-request", "not-found", "gone"),
  },
};

/** `GET /v1/contacts/{contactId}/images/{sha256}` */
export function addGetEarlierImage(api: ZodApi, { ports }: ApiContext<EarlierImagePorts>): void {
  const memory = createImageMemory();
  api.get(
    `${contactIdPath}/images/:sha256`,
    { config: { access: read }, schema: getEarlierImageSchema },
    async (request, reply) => {
      const images = getImages(ports);
      const { contactId } = await getVisibleContact(ports, request);
      const found = await ports.contacts.findImage(contactId, Buffer.from(request.params.sha256, "hex"));
      if (found.kind === "never") throw new ApiError("not-found", "this contact never showed such an image");
      if (found.kind === "gone") throw noLongerKept();
      const bytes = await answerBytes({ images, memory, image: found.image }, request, reply);
      if (bytes === undefined) throw noLongerKept();
      return bytes;
    },
  );
}

function noLongerKept(): ApiError {
  return new ApiError("gone", "the bytes of this image are no longer kept");
}
