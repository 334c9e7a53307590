import { z } from "zod";

import { type ChatId, parseChatId } from "../domain/chat-id.ts";
import type { InstanceOutcome } from "../domain/outcome.ts";

type QuotaOutcome = Extract<InstanceOutcome, { kind: "quota-exhausted" }>;

const part = z
  .looseObject({ status: z.string().catch(""), description: z.string().catch("") })
  .optional()
  .catch(undefined);

/** https://green-api.com/en/docs/api/466-error-example-body */
const quotaSchema = z.looseObject({ invokeStatus: part, correspondentsStatus: part });

/** Spelt QUOTE and QUOTA in the vendor's own pages. `QUOTE_ALLOWED` is the other value. */
const exceeded = /QUOT[EA]_EXCEEDED/i;

/**
 * What an HTTP 466 says. In the documentation it means a spent quota and nothing else. A body that does not tell which quota is
 * read as the method's: that holds the instance. A hold is probed and costs no contact anything, where an error of the call
 * would spend attempts.
 */
export function toQuotaOutcome(fields: unknown, raw: string): QuotaOutcome {
  const parsed = quotaSchema.safeParse(fields).data;
  const invoke = parsed?.invokeStatus;
  const correspondents = parsed?.correspondentsStatus;
  const isMethod = exceeded.test(invoke?.status ?? "");
  const isCorrespondents =
    exceeded.test(correspondents?.status ?? "") || /CORRESPONDENTS_QUOT[EA]_EXCEEDED/i.test(raw);
  // With both spent nothing works, also not for the chats that were allowed.
  return isCorrespondents && !isMethod
    ? toOutcome("correspondents", findChatIds(correspondents?.description || raw))
    : toOutcome("method", []);
}

function toOutcome(quota: QuotaOutcome["quota"], allowedChatIds: readonly ChatId[]): QuotaOutcome {
  return { kind: "quota-exhausted", scope: "instance", quota, allowedChatIds };
}

/** The free plan names three; a longer list than this is not one. */
const maxAllowedChatIds = 100;

const maxUserChars = 51;

/** From each "@" backwards: a row of digits without one, read from each digit on, would take many times as long. */
function findChatIds(text: string): ChatId[] {
  const server = /@(?:c\.us|g\.us|lid|(?:s\.)?whatsapp\.net)\b/giu;
  const chatIds = new Set<ChatId>();
  for (const { 0: name, index } of text.matchAll(server)) {
    const parse = parseChatId(`${readUser(text, index)}${name}`);
    if (parse.ok) chatIds.add(parse.chatId);
    if (chatIds.size === maxAllowedChatIds) break;
  }
  return [...chatIds];
}

/** The digits and dashes before `end`, at most as many as an id has. */
function readUser(text: string, end: number): string {
  let from = end;
  while (from > 0 && end - from < maxUserChars && /[\d-]/.test(text.charAt(from - 1))) from -= 1;
  return text.slice(from, end).replace(/^-+/, "");
}
