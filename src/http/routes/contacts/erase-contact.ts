import type { Actor } from "../../../domain/audit.ts";
import { toActor } from "../../requests/actor.ts";
import { z } from "zod";
import type { ChatId } from "../../../domain/chat-id.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey } from "../../requests/access.ts";
import { contactIdParams, contactParams } from "../../schemas/contact.ts";
import {
  contactIdPath,
  contactPath,
  getVisibleContact,
  noContact,
  readChatId,
  type ContactRoutePorts,
  type FindsContact,
} from "./contact-of-request.ts";

interface ErasePorts extends ContactRoutePorts, FindsContact {
  readonly contacts: FindsContact["contacts"] & {
    /** Erases the contact with its avatar, its history and all that waits for it. False: there was none. */
    erase(instanceId: InstanceId, chatId: ChatId, by: Actor): Promise<boolean>;
  };
}

const admin = { scopes: ["admin"] } as const;

const description =
  "An answer that is in flight is dropped. Batches keep their counts, with one `erased` more.";
const response = {
  204: z.undefined().describe("Erased."),
  ...problems(admin, "invalid-request", "not-found"),
};

const eraseContactSchema = {
  ...describe({
    id: "eraseContact",
    tag: "Contacts",
    summary: "Erase a contact with its avatar, its history and its queued work.",
    description,
    access: admin,
  }),
  params: contactParams,
  response,
};

const eraseContactByIdSchema = {
  ...describe({
    id: "eraseContactById",
    tag: "Contacts",
    summary: "The same, by the contact's own id.",
    description,
    access: admin,
  }),
  params: contactIdParams,
  response,
};

/** `DELETE /v1/instances/{id}/contacts/{chatId}` and `DELETE /v1/contacts/{contactId}` */
export function addEraseContact(api: ZodApi, { ports }: ApiContext<ErasePorts>): void {
  const { contacts, instances } = ports;

  /** @throws ApiError `not-found` */
  async function erase(id: InstanceId, chatId: ChatId, by: Actor): Promise<void> {
    if (!(await contacts.erase(id, chatId, by))) throw await noContact(instances, id);
  }

  api.delete(
    contactPath,
    { config: { access: admin }, schema: eraseContactSchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      await erase(id, readChatId(ports, request.params.chatId), toActor(request));
      return reply.code(204).send();
    },
  );
  api.delete(
    contactIdPath,
    { config: { access: admin }, schema: eraseContactByIdSchema },
    async (request, reply) => {
      const { instanceId, chatId } = await getVisibleContact(ports, request);
      await erase(instanceId, chatId, toActor(request));
      return reply.code(204).send();
    },
  );
}
