import { toActor } from "../../requests/actor.ts";
import type { FastifyReply } from "fastify";
import { createHash } from "node:crypto";
import type { AcceptedAs } from "../../../domain/views/batch.ts";
import { mapInTurns } from "../../../lib/in-turns.ts";
import { ApiError } from "../../answers/problem.ts";
import { invalidRequest, toFault } from "../../answers/to-api-error.ts";
import type {
  AcceptedRequest,
  Asker,
  BatchRefusal,
  RequestedBatch,
} from "../../../domain/requests/batch-request.ts";
import type { IncomingContact } from "../../../domain/requests/incoming-contact.ts";
import type { ParseContactId } from "../../context/api-context.ts";
import { assertVisible, getKey } from "../../requests/access.ts";
import { readIdempotencyKey } from "../../requests/idempotency-key.ts";
import { newBatchSchema } from "../../schemas/new-batch.ts";
import {
  sendAccepted,
  toAnswer,
  toRefusal,
  toWish,
  type AcceptRequest,
  type NewBatch,
} from "./batch-acceptance.ts";

/** The ports for a JSON body. */
export interface AcceptJsonPorts {
  readonly parseContactId: ParseContactId;
  readonly batches: {
    /** Takes a whole request in, in one transaction: when it resolves as `accepted` it is committed. */
    accept(
      asker: Asker & { readonly fingerprint: string },
      batch: RequestedBatch,
      contacts: readonly IncomingContact[],
      rejected: number,
    ): Promise<AcceptedRequest | BatchRefusal>;
  };
}

/** Takes the JSON body of `POST /v1/batches` in: all of it, or nothing. */
export async function acceptJson(
  ports: AcceptJsonPorts,
  request: AcceptRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  assertOfJson(request.query);
  const key = getKey(request);
  const idempotencyKey = readIdempotencyKey(request.headers["idempotency-key"]);
  const wish = parseBody(request.body);
  assertVisible(key, wish.instanceId);
  const { contacts, invalid, inputs } = await readContacts(wish, ports);
  if (request.query.strict && invalid.size > 0) throw toInvalidContacts(wish, invalid);

  const fingerprint = createHash("sha256")
    .update(`json ${request.query.strict ?? false} `)
    .update(JSON.stringify(request.body))
    .digest("base64url");
  const accepted = await ports.batches.accept(
    { apiKeyId: key.id, idempotencyKey, fingerprint, by: toActor(request) },
    { source: "api", ...toWish(wish), instanceId: wish.instanceId },
    contacts,
    invalid.size,
  );
  if (accepted.kind !== "accepted") throw toRefusal(accepted, wish.instanceId);
  const items = toItems(contacts, accepted.acceptedAs, { invalid, inputs });
  return sendAccepted(reply, accepted, { ...toAnswer(accepted, wish.instanceId), items });
}

/**
 * Refuses parameters of streams. The body says these things itself: the query neither overrules it, nor is left out without a
 * word.
 */
function assertOfJson(query: AcceptRequest["query"]): void {
  const errors = Object.keys(query)
    .filter((name) => name !== "strict")
    .map((name) => ({
      path: `query/${name}`,
      message: "It is for streams: a JSON body says it itself, where it can be said",
    }));
  if (errors.length > 0) throw invalidRequest(errors);
}

function parseBody(body: unknown): NewBatch {
  const parsed = newBatchSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalidRequest(
    parsed.error.issues.map((issue) => ({
      path: issue.path.length === 0 ? "" : `/${issue.path.join("/")}`,
      message: toFault(issue.message, issue.code === "unrecognized_keys" ? issue.keys : undefined),
    })),
  );
}

interface ReadContacts {
  readonly contacts: readonly IncomingContact[];
  /** The reasons, by the index of the item. */
  readonly invalid: ReadonlyMap<number, string>;
  readonly inputs: number;
}

async function readContacts(
  wish: NewBatch,
  ports: Pick<AcceptJsonPorts, "parseContactId">,
): Promise<ReadContacts> {
  const inputs: NonNullable<NewBatch["contacts"]> =
    wish.contacts ?? (wish.chatIds ?? []).map((chatId) => ({ chatId }));
  const contacts: IncomingContact[] = [];
  const invalid = new Map<number, string>();
  await mapInTurns(inputs, ({ chatId, phone, externalRef }, position) => {
    const id = ports.parseContactId(chatId ?? phone ?? "");
    if (id.ok) contacts.push({ chatId: id.chatId, externalRef: externalRef?.trim() || undefined, position });
    else invalid.set(position, toItemWords(id.reason));
  });
  return { contacts, invalid, inputs: inputs.length };
}

/** A JSON body has no country for its numbers. */
function toItemWords(reason: string): string {
  return reason.replace(/; use --default-country for national ones$/, ": write it with its country code");
}

function toInvalidContacts(wish: NewBatch, invalid: ReadonlyMap<number, string>): ApiError {
  const list = wish.contacts ? "contacts" : "chatIds";
  const errors = [...invalid].map(([index, message]) => ({ path: `/${list}/${index}`, message }));
  return new ApiError(
    "invalid-contacts",
    `${invalid.size} of the items are no contacts, and strict=true refuses the whole: nothing was taken in`,
    { errors },
  );
}

/** The fate of each item, in their order. */
function toItems(
  contacts: readonly IncomingContact[],
  acceptedAs: readonly AcceptedAs[],
  { invalid, inputs }: Pick<ReadContacts, "invalid" | "inputs">,
) {
  const outcomes = new Map(
    contacts.map(({ position, chatId }, at) => [position, { chatId, status: acceptedAs[at]! }]),
  );
  return Array.from({ length: inputs }, (_, index) => {
    const outcome = outcomes.get(index);
    return outcome
      ? { index, status: outcome.status, chatId: outcome.chatId }
      : { index, status: "invalid" as const, reason: invalid.get(index) ?? "no contact" };
  });
}
