import { answeredOutcomes } from "./answered-outcomes.ts";
import { brokenOutcomes } from "./broken-outcomes.ts";
import { elsewhereOutcomes } from "./elsewhere-outcomes.ts";
import type { OutcomeSpec } from "./outcome-spec.ts";
import { refusedOutcomes } from "./refused-outcomes.ts";

/**
 * Every outcome, by name. A script asks for one by its name, a fault share too, and a chat by the last six
 * digits of its number: `79001990005@c.us` always times out.
 *
 * | digits | outcome | digits | outcome |
 * |---|---|---|---|
 * | 990001 | present | 994000 | bad-request-400 |
 * | 990002 | absent | 994001 | validation-400 |
 * | 990003 | hidden | 994002 | starting-400 |
 * | 990004 | untold | 994003 | not-authorized-400 |
 * | 990005 | chat-timeout | 994004 | account-not-authorized-400 (plain text) |
 * | 990006 | bad-request-200 | 994005 | expired-400 |
 * | 990007 | rate-overlimit | 994006 | deleted-400 |
 * | 990008 | disguised-401 | 994007 | unknown-400 |
 * | 990009 | status-false-timeout | 994010 | unauthorized-401 (empty) |
 * | 990010 | status-false-invalid | 994030 | forbidden-403 (a page) |
 * | 990011 | status-false-unknown | 994040 | not-found-404 |
 * | 990020 | url-null | 994290 | throttled-429 (no header) |
 * | 990021 | url-blank | 994291 | throttled-429-seconds |
 * | 990022 | url-undefined | 994292 | throttled-429-date |
 * | 990023 | url-missing | 994660 | quota-466 |
 * | 990030 | present-2020 | 994661 | correspondents-466 |
 * | 990031 | untold-2020 | 994662 | quota-466-respelt |
 * | 990032 | present-2026 | 994990 | client-closed-499 |
 * | 990033 | present-data-uri | 995000 | server-error-500 |
 * | 990034 | present-expired | 995020 | bad-gateway-502 |
 * | 990035 | present-without-expiry | 995030 | unavailable-503 |
 * | 990040 | html-200 | 995040 | gateway-timeout-504 |
 * | 990041 | truncated-200 | 990090 | connection-reset |
 * | 990042 | empty-200 | 990091 | connection-cut |
 * | 990036 | present-base64 | 990092 | stall |
 * | 990037 | present-raw-base64 | 990050 | present-max |
 * | 990038 | svg-base64 | 990051 | present-elsewhere |
 * | 990039 | svg-data-uri | 990052 | present-elsewhere-fixed |
 * | 990024 | base64-null | | |
 */
const outcomes = { ...answeredOutcomes, ...elsewhereOutcomes, ...refusedOutcomes, ...brokenOutcomes };

export type OutcomeName = keyof typeof outcomes;

/** All names, in the order of the table. */
export const outcomeNames = Object.keys(outcomes) as OutcomeName[];

const namesByDigits = new Map(outcomeNames.map((name) => [outcomes[name].digits, name]));

export function isOutcomeName(text: string): text is OutcomeName {
  return Object.hasOwn(outcomes, text);
}

export function getOutcome(name: OutcomeName): OutcomeSpec {
  return outcomes[name];
}

/** The outcome that a chat gets by its number alone, if its number is one of the table's. */
export function findOutcomeByDigits(chatId: string): OutcomeName | undefined {
  const at = chatId.indexOf("@");
  return at < 6 ? undefined : namesByDigits.get(chatId.slice(at - 6, at));
}
