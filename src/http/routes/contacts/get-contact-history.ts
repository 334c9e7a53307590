import type { z } from "zod";
import { decodeCursor, encodeCursor } from "../../answers/cursor.ts";
import type { ChatId } from "../../../domain/chat-id.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { Page, PageRequest } from "../../../domain/page.ts";
import type { AvatarChange } from "../../../domain/views/contact-view.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey } from "../../requests/access.ts";
import {
  contactIdParams,
  contactParams,
  historyQuery,
  historySchema,
  toChange,
} from "../../schemas/contact.ts";
import {
  contactIdPath,
  contactPath,
  getVisibleContact,
  noContact,
  readChatId,
  type ContactRoutePorts,
  type FindsContact,
} from "./contact-of-request.ts";

interface HistoryPorts extends ContactRoutePorts, FindsContact {
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

const response = {
  200: answer("A page.", historySchema),
  ...problems(read, "invalid-request", "invalid-cursor", "not-found"),
};

const getContactHistorySchema = {
  ...describe({
    id: "getContactHistory",
    tag: "Contacts",
    summary: "The changes of a contact's avatar, newest first.",
    access: read,
  }),
  params: contactParams,
  querystring: historyQuery,
  response,
};

const getContactHistoryByIdSchema = {
  ...describe({
    id: "getContactHistoryById",
    tag: "Contacts",
    summary: "The same, by the contact's own id.",
    access: read,
  }),
  params: contactIdParams,
  querystring: historyQuery,
  response,
};

/** `GET /v1/instances/{id}/contacts/{chatId}/history` and `GET /v1/contacts/{contactId}/history` */
export function addGetContactHistory(api: ZodApi, { ports }: ApiContext<HistoryPorts>): void {
  const { changes, instances } = ports;

  /** @throws ApiError `not-found` */
  async function readPage(id: InstanceId, chatId: ChatId, { cursor, limit }: z.output<typeof historyQuery>) {
    const page = await changes.listOfContact(id, chatId, { after: decodeCursor(cursor), limit });
    if (!page) throw await noContact(instances, id);
    return {
      items: page.items.map(toChange),
      next: page.next === undefined ? null : encodeCursor(page.next),
    };
  }

  api.get(
    `${contactPath}/history`,
    { config: { access: read }, schema: getContactHistorySchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const chatId = readChatId(ports, request.params.chatId);
      return reply.type("application/json").send(await readPage(id, chatId, request.query));
    },
  );
  api.get(
    `${contactIdPath}/history`,
    { config: { access: read }, schema: getContactHistoryByIdSchema },
    async (request, reply) => {
      const { instanceId, chatId } = await getVisibleContact(ports, request);
      return reply.type("application/json").send(await readPage(instanceId, chatId, request.query));
    },
  );
}
