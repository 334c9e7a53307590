import type { Actor } from "../../../domain/audit.ts";
import { toActor } from "../../requests/actor.ts";
import { z } from "zod";
import type { ChatId } from "../../../domain/chat-id.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey } from "../../requests/access.ts";
import { contactParams } from "../../schemas/contact.ts";
import { contactPath, noContact, readChatId, type ContactRoutePorts } from "./contact-of-request.ts";

interface ErasePorts extends ContactRoutePorts {
  readonly contacts: {
    /** Erases the contact with its avatar, its history and all that waits for it. False: there was none. */
    erase(instanceId: InstanceId, chatId: ChatId, by: Actor): Promise<boolean>;
  };
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
      const isErased = await contacts.erase(id, readChatId(ports, request.params.chatId), toActor(request));
      if (!isErased) throw await noContact(instances, id);
      return reply.code(204).send();
    },
  );
}
