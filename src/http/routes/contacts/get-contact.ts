import { answer, describe, problems } from "../../openapi/describe.ts";
import type { ChatId } from "../../../domain/chat-id.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { ContactView } from "../../../domain/views/contact-view.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { assertVisible, getKey } from "../../requests/access.ts";
import { contactParams, contactSchema, toContact } from "../../schemas/contact.ts";
import { contactPath, noContact, readChatId, type ContactRoutePorts } from "./contact-of-request.ts";

interface GetContactPorts extends ContactRoutePorts {
  readonly contacts: {
    find(instanceId: InstanceId, chatId: ChatId): Promise<ContactView | undefined>;
  };
}

const read = { scopes: ["read"] } as const;

const getContactSchema = {
  ...describe({
    id: "getContact",
    tag: "Contacts",
    summary: "What is known of a contact.",
    description: "No call is made. `missing` says why there is no usable URL, where there is none.",
    access: read,
  }),
  params: contactParams,
  response: {
    200: answer("The contact.", contactSchema),
    ...problems(read, "invalid-request", "not-found"),
  },
};

/** `GET /v1/instances/{id}/contacts/{chatId}` */
export function addGetContact(api: ZodApi, { ports, now }: ApiContext<GetContactPorts>): void {
  const { contacts, instances } = ports;
  api.get(contactPath, { config: { access: read }, schema: getContactSchema }, async (request, reply) => {
    const { id } = request.params;
    assertVisible(getKey(request), id);
    const contact = await contacts.find(id, readChatId(ports, request.params.chatId));
    if (!contact) throw await noContact(instances, id);
    return reply.type("application/json").send(toContact(contact, now()));
  });
}
