import { unknownVersionPrefix } from "../domain/avatar-version.ts";
import type { Outcome } from "../domain/outcome.ts";
import { parseHttpUrl } from "../outbound/http-url.ts";
import { classify } from "./classify.ts";
import { holdsToken, isSurelyAbsent, redact, stripToken, toSecret } from "./redact.ts";
import type { RawReply } from "./wire/exchange.ts";

/**
 * `classify`, with the token kept out of the outcome: it is taken out of the body before. An outcome that holds it even so (put
 * together from pieces, as in a URL) is given up.
 */
export function judgeReply({ status, headers, body }: RawReply, token: string, now: Date): Outcome {
  const secret = toSecret(token);
  const isAbsent = isSurelyAbsent(body, secret);
  const outcome = classify(status, headers, isAbsent ? body : stripToken(body, secret), now);
  switch (outcome.kind) {
    case "present":
      // A URL and its path are pieces of such a body as they stand there.
      if (isAbsent && !outcome.version.startsWith(unknownVersionPrefix)) return outcome;
      return holdsToken(`${outcome.url} ${toResolved(outcome)} ${outcome.version}`, secret)
        ? { kind: "unclear", scope: "call", status, excerpt: "" }
        : outcome;
    case "unclear":
      return { ...outcome, excerpt: redact(outcome.excerpt, token) };
    default:
      // The others hold nothing of the body but numbers and parsed chat ids.
      return outcome;
  }
}

/** The URL as who follows it asks for it: its path may be another text. Most versions are made of that path already. */
function toResolved({ url, version }: Extract<Outcome, { kind: "present" }>): string {
  if (url === undefined || !version.startsWith(unknownVersionPrefix)) return "";
  return parseHttpUrl(url)?.href ?? "";
}
