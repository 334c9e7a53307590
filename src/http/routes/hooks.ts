import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { Signal, SignalOutcome } from "../../domain/signal.ts";
import { ApiError } from "../answers/problem.ts";
import { toApiError, unavailable } from "../answers/to-api-error.ts";
import type { ApiContext, ZodApi } from "../context/api-context.ts";
import { drain } from "../requests/linger.ts";

interface HookPorts {
  readonly signals: {
    /** Takes in a chat that a signal named. When it resolves it is committed. */
    takeChat(id: InstanceId, chatId: ChatId): Promise<SignalOutcome>;
    /** Lets a held instance be tried at once. */
    tryAgain(id: InstanceId): Promise<void>;
  };
  /** Knows the provider's notifications. */
  readonly readSignal: (body: unknown) => Signal;
  /** Counts what became of a signal. */
  readonly countSignal: (instanceId: InstanceId, outcome: SignalOutcome | "authorized" | "ignored") => void;
  readonly isOverloaded: () => boolean;
}

/** The longest message has some ten kilobytes, and a small picture beside it. */
const maxBodyBytes = 2 * 1024 * 1024;
/** The rest of a body that is too long is thrown away for so long, before it is answered. */
const drainMs = 10_000;

/**
 * `POST /hooks/green-api/{instance}`: takes GREEN-API's own notifications. Only 200 has their sender go on to the next. So what is wrong
 * with one notification is taken, and ignored; what is wrong with all of them, such as the address, is refused, and seen.
 * It is in no document, since no caller but GREEN-API has a use for it.
 */
export function addGreenApiHook(api: ZodApi, { ports }: ApiContext<HookPorts>): void {
  const take = async (id: InstanceId, signal: Signal): Promise<SignalOutcome | "authorized" | "ignored"> => {
    if (signal.kind === "nothing") return "ignored";
    if (signal.kind === "chat") return ports.signals.takeChat(id, signal.chatId);
    await ports.signals.tryAgain(id);
    return "authorized";
  };

  const ignore = async (id: InstanceId, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    await drain(request.raw, drainMs);
    ports.countSignal(id, "ignored");
    void reply.code(200).type("application/json").send({});
  };

  api.post(
    "/hooks/green-api/:instance",
    {
      config: { access: "hook" },
      bodyLimit: maxBodyBytes,
      schema: { hide: true, body: z.unknown() },
      errorHandler(error, request, reply) {
        const id = request.hookOf;
        // What is thrown here is answered as everywhere.
        if (id === undefined || !isUnreadable(error)) throw error;
        void ignore(id, request, reply);
      },
    },
    async (request, reply) => {
      const id = request.hookOf;
      if (id === undefined) throw new Error("a hook was not authenticated");
      if (ports.isOverloaded()) throw unavailable();
      const signal = ports.readSignal(request.body);
      if (signal.instanceId !== undefined && signal.instanceId !== id)
        throw new ApiError(
          "forbidden",
          "this notification is of another instance: set its own webhookUrl and webhookUrlToken there",
        );
      ports.countSignal(id, await take(id, signal));
      return reply.type("application/json").send({});
    },
  );
}

/** No try of the same notification would be read: it is too long, too deep, or no JSON. */
function isUnreadable(error: unknown): boolean {
  const { kind } = toApiError(error, () => false);
  return kind === "malformed-body" || kind === "body-too-large";
}
