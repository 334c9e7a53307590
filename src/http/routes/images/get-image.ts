import { z } from "zod";
import { ApiError } from "../../answers/problem.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { imageQuery } from "../../schemas/image-query.ts";
import { answerImage, createImageMemory, getImages, type ImageRoutePorts } from "./image-answer.ts";

/**
 * `GET /i/{token}`, and HEAD: the image of a contact, for any page, without a key. The token is the right to see it. A contact has
 * one address, whatever it shows. The document leaves it out: browsers go there, not clients.
 */
export function addGetImage(
  api: ZodApi,
  { ports, imageRequestsPerMinute }: ApiContext<ImageRoutePorts>,
): void {
  const memory = createImageMemory();
  api.route({
    method: ["GET", "HEAD"],
    url: "/i/:token",
    config: { access: "open", rateLimit: { max: imageRequestsPerMinute } },
    schema: { hide: true, params: z.object({ token: z.string() }), querystring: imageQuery },
    handler: async (request, reply) => {
      const images = getImages(ports);
      const { token } = request.params;
      const contactId = images.readToken(token);
      if (contactId === undefined) throw new ApiError("not-found", "this is the address of no image");
      const erased = new ApiError("gone", "the contact of this address was erased");
      return answerImage({ images, memory, contactId, path: token, erased }, request, reply);
    },
  });
}
