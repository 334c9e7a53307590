import { decodeCursor, encodeCursor } from "../../answers/cursor.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import type { ApiPorts, ContactPorts, InstancePorts } from "../../context/ports.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey } from "../../requests/access.ts";
import { contactParams, historyQuery, historySchema, toChange } from "../../schemas/contact.ts";
import { contactPath, noContact, readChatId } from "./contact-of-request.ts";

interface HistoryPorts extends Pick<ApiPorts, "parseContactId"> {
  readonly contacts: Pick<ContactPorts, "listChanges">;
  readonly instances: Pick<InstancePorts, "find">;
}

const read = { scopes: ["read"] } as const;

const getContactHistorySchema = {
  ...describe({
    id: "getContactHistory",
    tag: "Contacts",
    summary: "The changes of a contact's avatar, newest first.",
    access: read,
  }),
  params: contactParams,
  querystring: historyQuery,
  response: {
    200: answer("A page.", historySchema),
    ...problems(read, "invalid-request", "invalid-cursor", "not-found"),
  },
};

/** `GET /v1/instances/{id}/contacts/{chatId}/history` */
export function addGetContactHistory(api: ZodApi, { ports }: ApiContext<HistoryPorts>): void {
  const { contacts, instances } = ports;
  api.get(
    `${contactPath}/history`,
    { config: { access: read }, schema: getContactHistorySchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const { cursor, limit } = request.query;
      const page = await contacts.listChanges(id, readChatId(ports, request.params.chatId), {
        after: decodeCursor(cursor),
        limit,
      });
      if (!page) throw await noContact(instances, id);
      const next = page.next === undefined ? null : encodeCursor(page.next);
      return reply.type("application/json").send({ items: page.items.map(toChange), next });
    },
  );
}
