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
    /**
     * Writes down that the numbers of these contacts were shown, and how many in words, as in a label. Undefined: of no instance
     * in particular.
     */
    noteReveal(
      by: Actor,
      instanceId: InstanceId | undefined,
      chatIds: readonly ChatId[],
      inWords: number,
    ): Promise<void>;
    /** Writes down that a file with the numbers of a batch was handed out. */
    noteDownload(by: Actor, download: Download): Promise<void>;
  };
}

/** A file that holds the numbers of a batch. */
export interface Download {
  readonly batchId: string;
  readonly instanceId: InstanceId;
  /** How many contacts it holds, or would without its filter. */
  readonly contacts: number;
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
    const { config, url = "" } = request.routeOptions;
    if (config.holdsNumbers || url.includes("/:chatId")) throw noNumbers();
    if (!asksForNumbers(request)) return;
    if (!mayReveal) {
      throw new ApiError("forbidden", "the console shows no numbers here: AVATARS_CONSOLE_REVEAL is off");
    }
    if (!isRead(request)) throw new ApiError("forbidden", `${revealHeader} is for reads alone`);
  });
  app.addHook("preSerialization", async (request, reply, body) => {
    if (!request.isConsole) return body;
    const { masked, chatIds, inWords } = maskNumbers(body);
    const isShown = mayReveal && asksForNumbers(request) && isRead(request) && reply.statusCode < 400;
    if (!isShown || chatIds.size + inWords === 0) return masked;
    void reply.header("cache-control", "no-store");
    await audit.noteReveal(toActor(request), request.contactsOf, [...chatIds] as ChatId[], inWords);
    return body;
  });
}

/**
 * Refuses a session that names a contact by its number: the answer would tell whether that number is known, and numbers can be
 * tried. The console names contacts by their own ids.
 */
export function assertNoNumber({ isConsole }: FastifyRequest, number: string | undefined): void {
  if (isConsole && number !== undefined) throw noNumbers();
}

function noNumbers(): ApiError {
  return new ApiError(
    "forbidden",
    "this holds numbers, or tells which are known: it is for programs with a key",
  );
}

/**
 * The rows of a file as its reader may have them. In a browser they are masked, unless it asks for the numbers as above: then the
 * audit log has its row before the first of them.
 */
export async function toShownRows<Row>(
  request: FastifyRequest,
  rows: AsyncIterable<Row>,
  { audit }: Pick<RevealPorts, "audit">,
  download: Download,
): Promise<AsyncIterable<Row>> {
  if (!request.isConsole) return rows;
  if (!asksForNumbers(request)) return maskRows(rows);
  await audit.noteDownload(toActor(request), download);
  return rows;
}

async function* maskRows<Row>(rows: AsyncIterable<Row>): AsyncGenerator<Row> {
  // Strings become other strings, and nothing else is touched.
  for await (const row of rows) yield maskNumbers(row).masked as Row;
}

function asksForNumbers({ headers }: FastifyRequest): boolean {
  return headers[revealHeader] === "1";
}

function isRead({ routeOptions }: FastifyRequest): boolean {
  const { access } = routeOptions.config;
  return typeof access === "object" && access.scopes.length === 1 && access.scopes[0] === "read";
}
