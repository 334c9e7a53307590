import { z } from "zod";
import { judgeState, type StateReport } from "../domain/lookup/state-report.ts";
import { classify } from "./classify.ts";
import type { RawReply } from "./wire/exchange.ts";
import { stripToken, toSecret } from "./redact.ts";
import { parseJson } from "./reply-body.ts";

/** An undocumented word is a state too; a text with blanks, digits or no end is no word. */
const stateSchema = z.looseObject({
  stateInstance: z
    .string()
    .trim()
    .regex(/^[A-Za-z]{1,40}$/),
});

/**
 * What a reply to getStateInstance means. Pure and total. The errors are those of getAvatar, in the same forms, a 401
 * disguised in a 200 among them. No text of the body gets into the report but the state, from which the token was
 * taken out before.
 */
export function judgeStateReply({ status, headers, body }: RawReply, token: string, now: Date): StateReport {
  const text = stripToken(body, toSecret(token));
  const state = status === 200 ? findState(text) : undefined;
  if (state !== undefined) return { kind: "state", state, verdict: judgeState(state) };
  const outcome = classify(status, headers, text, now);
  if (outcome.kind === "throttled") return { kind: "throttled", retryAfterMs: outcome.retryAfterMs };
  if (outcome.scope === "instance") return { kind: "refused", outcome };
  // What getAvatar would conclude of a chat makes no sense here.
  return { kind: "unanswered", code: status === 200 ? "NOT_UNDERSTOOD" : `HTTP_${status}` };
}

function findState(text: string): string | undefined {
  return stateSchema.safeParse(parseJson(text.replace(/^\uFEFF/, ""))).data?.stateInstance;
}
