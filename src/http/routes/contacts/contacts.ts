import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { ChatId } from "../../../domain/chat-id.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import { mapInTurns } from "../../../lib/in-turns.ts";
import { assertVisible, getKey, noInstance } from "../../requests/access.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { decodeCursor, encodeCursor } from "../../answers/cursor.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { createPlaces } from "../../requests/places.ts";
import type { ContactPorts } from "../../context/ports.ts";
import { ApiError } from "../../answers/problem.ts";
import {
  contactParams,
  contactSchema,
  historyQuery,
  historySchema,
  lookupResultSchema,
  lookupSchema,
  refreshPendingSchema,
  refreshQuery,
  toChange,
  toContact,
} from "../../schemas/contact.ts";
import { invalidRequest } from "../../answers/to-api-error.ts";
import { whenClosed } from "../../requests/when-closed.ts";

const read = { scopes: ["read"] } as const;
const admin = { scopes: ["admin"] } as const;
const refresh = { scopes: ["enqueue", "read"] } as const;

const waitPlaces = { total: 400, perKey: 100, what: "refreshes that wait" };

const contactPath = "/v1/instances/:id/contacts/:chatId";

/** `/v1/instances/{id}/contacts/{chatId}` and `/v1/contacts/lookup` */
export function addContactRoutes(api: ZodApi, { ports, now, closing }: ApiContext): void {
  const { contacts, instances } = ports;
  const waiters = createPlaces(waitPlaces);

  async function noContact(id: InstanceId): Promise<ApiError> {
    if (!(await instances.find(id))) return noInstance(id);
    return new ApiError(
      "not-found",
      "there is no such contact of this instance: it was never asked for, or was erased",
    );
  }

  function readChatId(text: string): ChatId {
    const parsed = ports.parseContactId(text);
    if (parsed.ok) return parsed.chatId;
    throw invalidRequest([{ path: "path/chatId", message: parsed.reason }]);
  }

  api.get(
    contactPath,
    {
      config: { access: read },
      schema: {
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
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const contact = await contacts.find(id, readChatId(request.params.chatId));
      if (!contact) throw await noContact(id);
      return reply.type("application/json").send(toContact(contact, now()));
    },
  );

  api.get(
    `${contactPath}/history`,
    {
      config: { access: read },
      schema: {
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
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const { cursor, limit } = request.query;
      const page = await contacts.listChanges(id, readChatId(request.params.chatId), {
        after: decodeCursor(cursor),
        limit,
      });
      if (!page) throw await noContact(id);
      const next = page.next === undefined ? null : encodeCursor(page.next);
      return reply.type("application/json").send({ items: page.items.map(toChange), next });
    },
  );

  api.post(
    `${contactPath}/refresh`,
    {
      config: { access: refresh },
      schema: {
        ...describe({
          id: "refreshContact",
          tag: "Contacts",
          summary: "Ask for one contact now.",
          description:
            "Before all imports, within the instance's budget. A contact that is not known yet is made. Waits for the answer as long as `wait` says; not at all where the instance is paused, or held for longer, or where a hundred requests of the key wait already.",
          access: refresh,
        }),
        params: contactParams,
        querystring: refreshQuery,
        response: {
          200: answer(
            "Asked, and this is the answer; `unreachable` where there was none after all attempts.",
            contactSchema,
          ),
          202: answer("It is being asked: follow the batch.", refreshPendingSchema),
          ...problems(refresh, "invalid-request", "not-found"),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const key = getKey(request);
      assertVisible(key, id);
      const chatId = readChatId(request.params.chatId);
      const ticket = await contacts.refresh(key.id, id, chatId);
      if (!ticket) throw noInstance(id);
      const waitMs = await toWait(id, request.query.wait);
      const isAnswered = await whenAnswered(ticket, waitMs, request, reply);
      const contact = await contacts.find(id, chatId);
      if (isAnswered && contact) return reply.type("application/json").send(toContact(contact, now()));
      return reply
        .code(202)
        .header("location", `/v1/batches/${ticket.batchId}`)
        .type("application/json")
        .send({ batchId: ticket.batchId, contact: contact ? toContact(contact, now()) : null });
    },
  );

  /** Waiting for an instance that is not called for longer is no use. */
  async function toWait(id: Parameters<typeof instances.find>[0], waitMs: number): Promise<number> {
    if (waitMs === 0) return 0;
    const instance = await instances.find(id);
    const isBusy =
      instance?.state === "active" ||
      (instance?.state === "held" && (instance.heldUntil?.getTime() ?? 0) <= now().getTime() + waitMs);
    return isBusy ? waitMs : 0;
  }

  async function whenAnswered(
    ticket: Parameters<ContactPorts["whenAnswered"]>[0],
    waitMs: number,
    request: FastifyRequest,
    { raw: response }: FastifyReply,
  ): Promise<boolean> {
    const release = waitMs === 0 ? undefined : waiters.tryTake(getKey(request).id);
    if (release === undefined) return false;
    request.leaveWork();
    const gone = new AbortController();
    const leave = () => gone.abort();
    whenClosed(response, leave);
    const timer = setTimeout(leave, waitMs);
    try {
      return await contacts.whenAnswered(ticket, AbortSignal.any([gone.signal, closing]));
    } finally {
      release();
      clearTimeout(timer);
      response.off("close", leave);
    }
  }

  api.delete(
    contactPath,
    {
      config: { access: admin },
      schema: {
        ...describe({
          id: "eraseContact",
          tag: "Contacts",
          summary: "Erase a contact with its avatar, its history and its queued work.",
          description:
            "An answer that is in flight is dropped. Batches keep their counts, with one `erased` more.",
          access: admin,
        }),
        params: contactParams,
        response: {
          204: z.undefined().describe("Erased."),
          ...problems(admin, "invalid-request", "not-found"),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      if (!(await contacts.erase(id, readChatId(request.params.chatId)))) throw await noContact(id);
      return reply.code(204).send();
    },
  );

  api.post(
    "/v1/contacts/lookup",
    {
      config: { access: read },
      schema: {
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
      },
    },
    async (request, reply) => {
      const { instanceId, chatIds } = request.body;
      assertVisible(getKey(request), instanceId);
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
