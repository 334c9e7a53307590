import type { ChatId } from "../domain/chat-id.ts";
import { parseInstanceId, type InstanceId } from "../domain/instance-id.ts";
import { parseContactId } from "./ids/contact-id.ts";

/** The rest of a queued request's data: as it was, without the chat, or nothing to work on. */
export type Remainder =
  | { readonly kind: "untouched" }
  | { readonly kind: "reduced"; readonly data: Readonly<Record<string, unknown>> }
  | { readonly kind: "nothing" };

const untouched: Remainder = { kind: "untouched" };
const nothing: Remainder = { kind: "nothing" };

/**
 * Takes a chat out of a request for its instance, in any spelling, with the ref that belongs to it. The other chats stay; other
 * fields that name the chat go. A request of a shape that cannot be read is given up where it names the chat. Pure.
 */
export function forgetChat(data: unknown, instanceId: InstanceId, chatId: ChatId): Remainder {
  if (!isRequest(data)) return namesChat(data, chatId) ? nothing : untouched;
  const { instanceId: asked, chatIds, externalRef, ...others } = data;
  if ((parseInstanceId(asked) ?? instanceId) !== instanceId) return untouched;
  const isLeft = chatIds.map((text) => !isChat(text, chatId));
  const left = chatIds.filter((_, index) => isLeft[index]);
  const besides = Object.entries({ ...others, externalRef }).filter(([, value]) => namesChat(value, chatId));
  if (left.length === chatIds.length && besides.length === 0) return untouched;
  if (left.length === 0) return nothing;
  const refs = Array.isArray(externalRef)
    ? externalRef
        .filter((_, index) => isLeft[index] ?? true)
        .map((ref: unknown) => (namesChat(ref, chatId) ? null : ref))
    : externalRef;
  const rest = Object.entries({ ...others, externalRef: refs }).filter(
    ([name, value]) => value !== undefined && !namesChat({ [name]: value }, chatId),
  );
  return { kind: "reduced", data: { instanceId: asked, chatIds: left, ...Object.fromEntries(rest) } };
}

/** Does a request ask for contacts of the instance? Pure. */
export function isOfInstance(data: unknown, instanceId: InstanceId): boolean {
  return typeof data === "object" && data !== null && "instanceId" in data
    ? parseInstanceId(data.instanceId) === instanceId
    : false;
}

interface RequestLike {
  readonly instanceId?: unknown;
  readonly chatIds: readonly unknown[];
  readonly externalRef?: unknown;
}

function isRequest(data: unknown): data is RequestLike {
  return typeof data === "object" && data !== null && "chatIds" in data && Array.isArray(data.chatIds);
}

/** Does the text of a value have the chat's digits, not as a part of a longer number? */
export function namesChat(value: unknown, chatId: ChatId): boolean {
  const [who = ""] = chatId.split("@");
  return new RegExp(`(?<!\\d)${who}(?!\\d)`).test(JSON.stringify(value) ?? "");
}

function isChat(text: unknown, chatId: ChatId): boolean {
  if (text === chatId) return true;
  const parsed = typeof text === "string" ? parseContactId(text, undefined) : undefined;
  return parsed?.ok ? parsed.chatId === chatId : namesChat(text, chatId);
}
