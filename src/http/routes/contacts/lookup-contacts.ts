import { mapInTurns } from "../../../lib/in-turns.ts";
import type { ChatId } from "../../../domain/chat-id.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { ContactView } from "../../../domain/views/contact-view.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey, noInstance } from "../../requests/access.ts";
import { lookupResultSchema, lookupSchema, toContact } from "../../schemas/contact.ts";
import type { ContactRoutePorts } from "./contact-of-request.ts";

interface LookupPorts extends ContactRoutePorts {
  readonly contacts: {
    /** Finds contacts, in any order; those that are not known are left out. */
    findMany(instanceId: InstanceId, chatIds: readonly ChatId[]): Promise<ContactView[]>;
  };
}

const read = { scopes: ["read"] } as const;

const lookupContactsSchema = {
  ...describe({
    id: "lookupContacts",
    tag: "Contacts",
    summary: "What is known of up to 1000 contacts.",
    description: "No call is made.",
    access: read,
  }),
  body: lookupSchema,
  response: {
    200: answer("One item for each chat id, in their order.", lookupResultSchema),
    ...problems(
      read,
      "invalid-request",
      "malformed-body",
      "not-found",
      "request-timeout",
      "body-too-large",
      "unsupported-media-type",
    ),
  },
};

/** `POST /v1/contacts/lookup` */
export function addLookupContacts(api: ZodApi, { ports, now }: ApiContext<LookupPorts>): void {
  const { contacts, instances } = ports;
  api.post(
    "/v1/contacts/lookup",
    { config: { access: read, holdsNumbers: true }, schema: lookupContactsSchema },
    async (request, reply) => {
      const { instanceId, chatIds } = request.body;
      assertVisible(getKey(request), instanceId);
      request.contactsOf = instanceId;
      const parsed = await mapInTurns(chatIds, (text) => ports.parseContactId(text));
      const wanted = new Set(parsed.flatMap((id) => (id.ok ? [id.chatId] : [])));
      const [found, instance] = await Promise.all([
        contacts.findMany(instanceId, [...wanted]),
        instances.find(instanceId),
      ]);
      if (!instance) throw noInstance(instanceId);
      const byChatId = new Map(found.map((contact) => [contact.chatId, toContact(contact, now())]));
      const items = parsed.map((id, index) => {
        if (!id.ok) return { index, contact: null, reason: "invalid" as const, detail: id.reason };
        const contact = byChatId.get(id.chatId);
        return contact ? { index, contact } : { index, contact: null, reason: "unknown-contact" as const };
      });
      return reply.type("application/json").send({ items });
    },
  );
}
