import { decodeCursor, encodeCursor } from "../../answers/cursor.ts";
import type { ChatId } from "../../../domain/chat-id.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { Page, PageRequest } from "../../../domain/page.ts";
import type { AvatarChange } from "../../../domain/views/contact-view.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey } from "../../requests/access.ts";
import { contactParams, historyQuery, historySchema, toChange } from "../../schemas/contact.ts";
import { contactPath, noContact, readChatId, type ContactRoutePorts } from "./contact-of-request.ts";

interface HistoryPorts extends ContactRoutePorts {
  readonly changes: {
    /** The newest first. Undefined: there is no such contact. */
    listOfContact(
      instanceId: InstanceId,
      chatId: ChatId,
      page: PageRequest,
    ): Promise<Page<AvatarChange> | undefined>;
  };
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
  const { changes, instances } = ports;
  api.get(
    `${contactPath}/history`,
    { config: { access: read, holdsNumbers: true }, schema: getContactHistorySchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const { cursor, limit } = request.query;
      const page = await changes.listOfContact(id, readChatId(ports, request.params.chatId), {
        after: decodeCursor(cursor),
        limit,
      });
      if (!page) throw await noContact(instances, id);
      const next = page.next === undefined ? null : encodeCursor(page.next);
      return reply.type("application/json").send({ items: page.items.map(toChange), next });
    },
  );
}
