import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { ChatId } from "../../../domain/chat-id.ts";
import type { ContactView } from "../../../domain/views/contact-view.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import type { RefreshTicket } from "../../../domain/requests/refresh-ticket.ts";
import { createAnswerPoller, type AnswerPoller } from "../../answers/answer-poller.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey, noInstance } from "../../requests/access.ts";
import { createPlaces, type Places } from "../../requests/places.ts";
import { whenClosed } from "../../requests/when-closed.ts";
import {
  contactIdParams,
  contactParams,
  contactSchema,
  refreshPendingSchema,
  refreshQuery,
  toContact,
  type RefreshStop,
} from "../../schemas/contact.ts";
import {
  contactIdPath,
  contactPath,
  getVisibleContact,
  readChatId,
  type ContactRoutePorts,
  type FindsContact,
} from "./contact-of-request.ts";
import { findStop } from "./find-stop.ts";

interface RefreshPorts extends ContactRoutePorts, FindsContact {
  readonly contacts: FindsContact["contacts"] & {
    find(instanceId: InstanceId, chatId: ChatId): Promise<ContactView | undefined>;
    /** Asks for the contact before all others; makes it where it is not known. Undefined: no such instance. */
    refresh(apiKeyId: string, instanceId: InstanceId, chatId: ChatId): Promise<RefreshTicket | undefined>;
  };
  readonly batches: {
    /** Finds those of the batches that need not be waited for any longer. */
    findAnswered(tickets: readonly RefreshTicket[]): Promise<readonly string[]>;
  };
}

const refresh = { scopes: ["enqueue", "read"] } as const;

const waitPlaces = { total: 400, perKey: 100, what: "refreshes that wait" };

const description =
  "Before all imports, within the instance's budget. A contact that is not known yet is made. Waits for the answer as long as `wait` says; not at all where the instance is paused, or held for longer, or not called for longer by its quiet hours or its cap, or where a hundred requests of the key wait already.";
const response = {
  200: answer(
    "Asked, and this is the answer; `unreachable` where there was none after all attempts.",
    contactSchema,
  ),
  202: answer("It is being asked: follow the batch.", refreshPendingSchema),
  ...problems(refresh, "invalid-request", "not-found"),
};

const refreshContactSchema = {
  ...describe({
    id: "refreshContact",
    tag: "Contacts",
    summary: "Ask for one contact now.",
    description,
    access: refresh,
  }),
  params: contactParams,
  querystring: refreshQuery,
  response,
};

const refreshContactByIdSchema = {
  ...describe({
    id: "refreshContactById",
    tag: "Contacts",
    summary: "The same, by the contact's own id.",
    access: refresh,
  }),
  params: contactIdParams,
  querystring: refreshQuery,
  response,
};

/** `POST /v1/instances/{id}/contacts/{chatId}/refresh` and `POST /v1/contacts/{contactId}/refresh` */
export function addRefreshContact(api: ZodApi, context: ApiContext<RefreshPorts>): void {
  const { ports, now } = context;
  const waiters = createPlaces(waitPlaces);
  const answers = createAnswerPoller({ findAnswered: ports.batches.findAnswered });

  async function askFor(
    { id, chatId, wait }: { readonly id: InstanceId; readonly chatId: ChatId; readonly wait: number },
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<RefreshAnswer> {
    const key = getKey(request);
    const ticket = await ports.contacts.refresh(key.id, id, chatId);
    if (!ticket) throw noInstance(id);
    const instance = await ports.instances.find(id);
    const stop = instance && findStop(instance, now(), true);
    const waitMs = toWait(stop, now(), wait);
    const release = waitMs === 0 ? undefined : waiters.tryTake(key.id);
    const isAnswered =
      release !== undefined &&
      (await whenAnswered(context, answers, ticket, { waitMs, release, request, reply }));
    const contact = await ports.contacts.find(id, chatId);
    void reply.type("application/json");
    if (isAnswered && contact) return { code: 200, body: toContact(contact, now()) };
    void reply.header("location", `/v1/batches/${ticket.batchId}`);
    const stopped = (instance && findStop(instance, now(), true)) ?? null;
    const body = { batchId: ticket.batchId, contact: contact ? toContact(contact, now()) : null, stopped };
    return { code: 202, body };
  }

  api.post(
    `${contactPath}/refresh`,
    { config: { access: refresh }, schema: refreshContactSchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const chatId = readChatId(ports, request.params.chatId);
      const { code, body } = await askFor({ id, chatId, wait: request.query.wait }, request, reply);
      return reply.code(code).send(body);
    },
  );
  api.post(
    `${contactIdPath}/refresh`,
    { config: { access: refresh }, schema: refreshContactByIdSchema },
    async (request, reply) => {
      const { instanceId: id, chatId } = await getVisibleContact(ports, request);
      const { code, body } = await askFor({ id, chatId, wait: request.query.wait }, request, reply);
      return reply.code(code).send(body);
    },
  );
}

type RefreshAnswer =
  | { readonly code: 200; readonly body: z.output<typeof contactSchema> }
  | { readonly code: 202; readonly body: z.output<typeof refreshPendingSchema> };

/** The time that a request waits, ms. To wait for an instance that is not called for longer is no use. */
function toWait(stop: RefreshStop | undefined, now: Date, waitMs: number): number {
  if (stop === undefined) return waitMs;
  return stop.until !== null && stop.until.getTime() <= now.getTime() + waitMs ? waitMs : 0;
}

interface Wait {
  readonly waitMs: number;
  /** Gives the place among those that wait back. */
  readonly release: ReturnType<Places["take"]>;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** Waits for the answer. True: it came while the request waited for it. */
async function whenAnswered(
  { closing }: ApiContext<RefreshPorts>,
  answers: AnswerPoller,
  ticket: RefreshTicket,
  { waitMs, release, request, reply: { raw: response } }: Wait,
): Promise<boolean> {
  request.leaveWork();
  const gone = new AbortController();
  const leave = () => gone.abort();
  whenClosed(response, leave);
  const timer = setTimeout(leave, waitMs);
  try {
    return await answers.whenAnswered(ticket, AbortSignal.any([gone.signal, closing]));
  } finally {
    release();
    clearTimeout(timer);
    response.off("close", leave);
  }
}
