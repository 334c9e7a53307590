import { z } from "zod";
import type { ChatId } from "../../../domain/chat-id.ts";
import { imageTypes } from "../../../domain/images/image.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { ContactView } from "../../../domain/views/contact-view.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { ApiError } from "../../answers/problem.ts";
import { describe, problems, textAnswer } from "../../openapi/describe.ts";
import { assertVisible, getKey } from "../../requests/access.ts";
import { contactParams } from "../../schemas/contact.ts";
import { imageQuery } from "../../schemas/image-query.ts";
import {
  contactPath,
  noContact,
  readChatId,
  type ContactRoutePorts,
} from "../contacts/contact-of-request.ts";
import { answerImage, createImageMemory, getImages, type ImageRoutePorts } from "./image-answer.ts";

interface ContactImagePorts extends ContactRoutePorts, ImageRoutePorts {
  readonly contacts: {
    find(instanceId: InstanceId, chatId: ChatId): Promise<ContactView | undefined>;
  };
}

const read = { scopes: ["read"] } as const;

const contactImageSchema = {
  ...describe({
    id: "getContactImage",
    tag: "Contacts",
    summary: "The image of a contact.",
    description:
      "The same as at its `imageUrl`, for programs that have a key. `ETag` and `If-None-Match` save what has not changed.",
    access: read,
  }),
  params: contactParams,
  querystring: imageQuery,
  response: {
    200: textAnswer(
      "Its bytes, or what `fallback` asks for.",
      z.string().meta({ format: "binary" }),
      ...imageTypes,
      "image/svg+xml",
    ),
    302: z.undefined().describe("`v` is of an earlier image: the present one is at `Location`."),
    304: z.undefined().describe("It has not changed."),
    ...problems(read, "invalid-request", "not-found"),
  },
};

/** `GET /v1/instances/{id}/contacts/{chatId}/image` */
export function addGetContactImage(api: ZodApi, { ports }: ApiContext<ContactImagePorts>): void {
  const { contacts, instances } = ports;
  const memory = createImageMemory();
  api.get(
    `${contactPath}/image`,
    { config: { access: read }, schema: contactImageSchema },
    async (request, reply) => {
      const images = getImages(ports);
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const contact = await contacts.find(id, readChatId(ports, request.params.chatId));
      if (!contact) throw await noContact(instances, id);
      const { contactId } = contact;
      const erased = new ApiError("not-found", "the contact was erased just now");
      return answerImage({ images, memory, contactId, path: "image", erased }, request, reply);
    },
  );
}
