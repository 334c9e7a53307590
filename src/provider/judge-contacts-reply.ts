import { z } from "zod";
import type { ContactListReport } from "../domain/lookup/contact-list-report.ts";
import { classify } from "./classify.ts";
import type { RawReply } from "./wire/exchange.ts";
import { stripToken, toSecret } from "./redact.ts";

const entrySchema = z.object({ id: z.string() });

/** No refusal is as long; what is longer is not worth searching for a token. */
const maxRefusalChars = 64 * 1024;

/**
 * What a reply to getContacts means (https://green-api.com/en/docs/api/service/GetContacts). Pure and total. The errors
 * are those of getAvatar, in the same forms, a 401 disguised in a 200 among them. No text of the body gets into the
 * report but the ids, from which the token is taken out.
 */
export function judgeContactsReply(
  { status, headers, body }: RawReply,
  token: string,
  now: Date,
): ContactListReport {
  const secret = toSecret(token);
  const entries = status === 200 ? findEntries(body) : undefined;
  if (entries !== undefined) return { kind: "contacts", ids: entries.map((id) => stripToken(id, secret)) };
  const outcome = classify(status, headers, stripToken(body.slice(0, maxRefusalChars), secret), now);
  if (outcome.kind === "throttled") return { kind: "throttled", retryAfterMs: outcome.retryAfterMs };
  if (outcome.scope === "instance") return { kind: "refused", outcome };
  // What getAvatar would conclude of a chat makes no sense here.
  return { kind: "unanswered", code: status === 200 ? "NOT_UNDERSTOOD" : `HTTP_${status}` };
}

/** The ids of a list. A list that has entries, but none with an id, is not one of contacts: it may hold an error. */
function findEntries(body: string): string[] | undefined {
  const list = parseList(body);
  const ids = list?.map((entry) => entrySchema.safeParse(entry).data?.id);
  return ids?.length === 0 || ids?.some((id) => id !== undefined) ? ids.map((id) => id ?? "") : undefined;
}

function parseList(body: string): unknown[] | undefined {
  try {
    const list: unknown = JSON.parse(body.replace(/^\uFEFF/, ""));
    return Array.isArray(list) ? list : undefined;
  } catch {
    return undefined;
  }
}
