import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Actor } from "../../domain/audit.ts";
import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { maskNumbers } from "../answers/mask-numbers.ts";
import { ApiError } from "../answers/problem.ts";
import { toActor } from "./actor.ts";

export interface RevealPorts {
  /** Numbers may be asked for in the console. */
  readonly mayReveal: boolean;
  readonly audit: {
    /** Writes down that the numbers of these contacts were shown. Undefined: of no instance in particular. */
    noteReveal(by: Actor, instanceId: InstanceId | undefined, chatIds: readonly ChatId[]): Promise<void>;
  };
}

declare module "fastify" {
  interface FastifyRequest {
    /** The instance whose contacts the answer holds, where the route has told. */
    contactsOf: InstanceId | undefined;
  }
}

const revealHeader = "x-avatars-reveal";

/**
 * Masks the numbers in all that pages of the console are answered: what they are not told, no browser keeps. A read that asks for
 * them with the header `x-avatars-reveal: 1` has them, and the audit log a row before the answer leaves.
 */
export function addConsoleMasking(app: FastifyInstance, { mayReveal, audit }: RevealPorts): void {
  app.decorateRequest("contactsOf", undefined);
  app.addHook("onRequest", async (request) => {
    if (!request.isConsole) return;
    if (request.routeOptions.config.holdsNumbers) {
      throw new ApiError(
        "forbidden",
        "this holds numbers, or tells which are known: it is for programs with a key",
      );
    }
    if (!asksForNumbers(request)) return;
    if (!mayReveal) {
      throw new ApiError("forbidden", "the console shows no numbers here: AVATARS_CONSOLE_REVEAL is off");
    }
    if (!isRead(request)) throw new ApiError("forbidden", `${revealHeader} is for reads alone`);
  });
  app.addHook("preSerialization", async (request, reply, body) => {
    if (!request.isConsole) return body;
    const { masked, chatIds } = maskNumbers(body);
    const isShown = mayReveal && asksForNumbers(request) && isRead(request) && reply.statusCode < 400;
    if (!isShown || chatIds.size === 0) return masked;
    void reply.header("cache-control", "no-store");
    await audit.noteReveal(toActor(request), request.contactsOf, [...chatIds] as ChatId[]);
    return body;
  });
}

function asksForNumbers({ headers }: FastifyRequest): boolean {
  return headers[revealHeader] === "1";
}

function isRead({ routeOptions }: FastifyRequest): boolean {
  const { access } = routeOptions.config;
  return typeof access === "object" && access.scopes.length === 1 && access.scopes[0] === "read";
}
