import { z } from "zod";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import type { ApiPorts, ContactPorts, InstancePorts } from "../../context/ports.ts";
import { describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey } from "../../requests/access.ts";
import { contactParams } from "../../schemas/contact.ts";
import { contactPath, noContact, readChatId } from "./contact-of-request.ts";

interface ErasePorts extends Pick<ApiPorts, "parseContactId"> {
  readonly contacts: Pick<ContactPorts, "erase">;
  readonly instances: Pick<InstancePorts, "find">;
}

const admin = { scopes: ["admin"] } as const;

const eraseContactSchema = {
  ...describe({
    id: "eraseContact",
    tag: "Contacts",
    summary: "Erase a contact with its avatar, its history and its queued work.",
    description: "An answer that is in flight is dropped. Batches keep their counts, with one `erased` more.",
    access: admin,
  }),
  params: contactParams,
  response: {
    204: z.undefined().describe("Erased."),
    ...problems(admin, "invalid-request", "not-found"),
  },
};

/** `DELETE /v1/instances/{id}/contacts/{chatId}` */
export function addEraseContact(api: ZodApi, { ports }: ApiContext<ErasePorts>): void {
  const { contacts, instances } = ports;
  api.delete(
    contactPath,
    { config: { access: admin }, schema: eraseContactSchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const isErased = await contacts.erase(id, readChatId(ports, request.params.chatId));
      if (!isErased) throw await noContact(instances, id);
      return reply.code(204).send();
    },
  );
}
