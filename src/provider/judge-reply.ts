import type { Outcome } from "../domain/outcome.ts";
import { classify, type ReplyHeaders } from "./classify.ts";
import { holdsToken, redact, stripToken } from "./redact.ts";

export interface RawReply {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: string;
}

/**
 * GREEN-API's tokens have 50 characters. One that is shorter than this is a placeholder for tests, and as a piece of
 * ordinary words it would make every answer unreadable if it were taken out of them.
 */
const shortestToken = 8;

/**
 * `classify`, with the token kept out of the outcome: it is taken out of the body before, and an outcome
 * that holds it even so (put together from pieces, as in a URL) is given up.
 */
export function judgeReply({ status, headers, body }: RawReply, token: string, now: Date): Outcome {
  const isSecret = token.length >= shortestToken;
  const outcome = classify(status, headers, isSecret ? stripToken(body, token) : body, now);
  switch (outcome.kind) {
    case "present":
      return isSecret && holdsToken(`${outcome.url} ${outcome.version}`, token)
        ? { kind: "unclear", scope: "call", status, excerpt: "" }
        : outcome;
    case "unclear":
      return { ...outcome, excerpt: redact(outcome.excerpt, token) };
    default:
      // The others hold nothing of the body but numbers and parsed chat ids.
      return outcome;
  }
}
