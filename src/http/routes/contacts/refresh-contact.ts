import type { FastifyReply, FastifyRequest } from "fastify";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { ChatId } from "../../../domain/chat-id.ts";
import { findInteractivePause } from "../../../domain/care/care-pause.ts";
import { toCareFacts } from "../../../domain/care/care-view.ts";
import type { InstanceView } from "../../../domain/views/instance-view.ts";
import type { ContactView } from "../../../domain/views/contact-view.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import type { RefreshTicket } from "../../../domain/requests/refresh-ticket.ts";
import { createAnswerPoller, type AnswerPoller } from "../../answers/answer-poller.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey, noInstance } from "../../requests/access.ts";
import { createPlaces, type Places } from "../../requests/places.ts";
import { whenClosed } from "../../requests/when-closed.ts";
import {
  contactParams,
  contactSchema,
  refreshPendingSchema,
  refreshQuery,
  toContact,
  type RefreshStop,
} from "../../schemas/contact.ts";
import { contactPath, readChatId, type ContactRoutePorts } from "./contact-of-request.ts";

interface RefreshPorts extends ContactRoutePorts {
  readonly contacts: {
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

const refreshContactSchema = {
  ...describe({
    id: "refreshContact",
    tag: "Contacts",
    summary: "Ask for one contact now.",
    description:
      "Before all imports, within the instance's budget. A contact that is not known yet is made. Waits for the answer as long as `wait` says; not at all where the instance is paused, or held for longer, or not called for longer by its quiet hours or its cap, or where a hundred requests of the key wait already.",
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
};

/** `POST /v1/instances/{id}/contacts/{chatId}/refresh` */
export function addRefreshContact(api: ZodApi, context: ApiContext<RefreshPorts>): void {
  const { ports, now } = context;
  const { contacts } = ports;
  const waiters = createPlaces(waitPlaces);
  const answers = createAnswerPoller({ findAnswered: ports.batches.findAnswered });
  api.post(
    `${contactPath}/refresh`,
    { config: { access: refresh }, schema: refreshContactSchema },
    async (request, reply) => {
      const { id } = request.params;
      const key = getKey(request);
      assertVisible(key, id);
      const chatId = readChatId(ports, request.params.chatId);
      const ticket = await contacts.refresh(key.id, id, chatId);
      if (!ticket) throw noInstance(id);
      const instance = await ports.instances.find(id);
      const stop = instance && findStop(instance, now());
      const waitMs = toWait(stop, now(), request.query.wait);
      const release = waitMs === 0 ? undefined : waiters.tryTake(key.id);
      const isAnswered =
        release !== undefined &&
        (await whenAnswered(context, answers, ticket, { waitMs, release, request, reply }));
      const contact = await contacts.find(id, chatId);
      if (isAnswered && contact) return reply.type("application/json").send(toContact(contact, now()));
      return reply
        .code(202)
        .header("location", `/v1/batches/${ticket.batchId}`)
        .type("application/json")
        .send({
          batchId: ticket.batchId,
          contact: contact ? toContact(contact, now()) : null,
          stopped: (instance && findStop(instance, now())) ?? null,
        });
    },
  );
}

/** Why a contact of the instance is not asked now, and until when; undefined: it is. */
function findStop(instance: InstanceView, now: Date): RefreshStop | undefined {
  const { state, heldUntil } = instance;
  if (state === "paused") return { reason: "paused", until: null };
  if (state === "held" && heldUntil !== undefined && heldUntil > now)
    return { reason: "held", until: heldUntil };
  return findInteractivePause(toCareFacts(instance), now);
}

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
