import type { ContactListReport, RefusedOutcome } from "../domain/lookup/contact-list-report.ts";
import { explainHold, holdFor } from "../domain/trouble/hold.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { sleep } from "../lib/deadline.ts";
import { assertNever, UserError } from "../lib/errors.ts";

export interface ListContactsPorts {
  /** Calls getContacts once, in its turn, which it waits for: at most one a second over all processes. */
  readonly ask: (signal: AbortSignal) => Promise<ContactListReport>;
  /** Told before a wait that the provider asks for. */
  readonly waiting: (waitMs: number) => void;
}

/** What was answered before, by this command. */
export interface ListingTally {
  /** Empty lists. */
  readonly empty: number;
  readonly throttled: number;
}

export type ListingStep =
  | { readonly kind: "done"; readonly ids: readonly string[] }
  | { readonly kind: "again"; readonly waitMs: number; readonly tally: ListingTally }
  | { readonly kind: "failed"; readonly error: UserError };

/**
 * The provider says to repeat a call that gave an empty list: filling it takes up to 5 minutes.
 * https://green-api.com/en/docs/api/service/GetContacts
 */
const mostEmpty = 2;
const mostWaits = 3;
/** For a refusal that does not say how long to wait. */
const defaultWaitMs = 2_000;

/**
 * The whole contact list of an instance, as the ids that the provider wrote.
 * @throws UserError what is wrong with the instance, the answer, or an empty list; and the signal's reason
 */
export async function listContacts(
  instanceId: InstanceId,
  ports: ListContactsPorts,
  signal: AbortSignal,
): Promise<readonly string[]> {
  let tally: ListingTally = { empty: 0, throttled: 0 };
  for (;;) {
    const report = await ports.ask(signal);
    signal.throwIfAborted();
    const step = decideListing(instanceId, report, tally, new Date());
    if (step.kind === "done") return step.ids;
    if (step.kind === "failed") throw step.error;
    tally = step.tally;
    if (step.waitMs > 0) ports.waiting(step.waitMs);
    await sleep(step.waitMs, signal);
    signal.throwIfAborted();
  }
}

/** What follows from one report. Pure. */
export function decideListing(
  instanceId: InstanceId,
  report: ContactListReport,
  tally: ListingTally,
  now: Date,
): ListingStep {
  switch (report.kind) {
    case "contacts": {
      if (report.ids.length > 0) return { kind: "done", ids: report.ids };
      const empty = tally.empty + 1;
      if (empty >= mostEmpty) return { kind: "failed", error: toEmptyError(instanceId) };
      // Its turn is wait enough.
      return { kind: "again", waitMs: 0, tally: { ...tally, empty } };
    }
    case "throttled": {
      const throttled = tally.throttled + 1;
      if (throttled > mostWaits) return { kind: "failed", error: toThrottledError(instanceId) };
      const waitMs = report.retryAfterMs ?? defaultWaitMs;
      return { kind: "again", waitMs, tally: { ...tally, throttled } };
    }
    case "refused":
      return { kind: "failed", error: toRefusedError(instanceId, report.outcome, now) };
    case "unanswered":
      return { kind: "failed", error: toUnansweredError(instanceId, report.code) };
    default:
      return assertNever(report);
  }
}

function toEmptyError(id: InstanceId): UserError {
  return new UserError(
    "no-contacts",
    `GREEN-API lists no contacts for instance ${id}, asked twice: after a start or a login that takes up to 5 minutes, try again then; if it stays so, scan the QR code in GREEN-API's console again`,
    { retryable: true },
  );
}

function toThrottledError(id: InstanceId): UserError {
  return new UserError(
    "instance-throttled",
    `GREEN-API refuses to list the contacts of instance ${id}, as one call too many, again and again: does something else ask for them? Try again in a few minutes`,
    { retryable: true },
  );
}

/** In the words that a hold for the same would have. */
function toRefusedError(id: InstanceId, outcome: RefusedOutcome, now: Date): UserError {
  const { reason, text } = holdFor(outcome, now, { probeBaseMs: 0, probeMaxMs: 0 });
  const advice = explainHold(reason).advice ?? "try again in a few minutes";
  return new UserError(
    `instance-${reason}`,
    `GREEN-API does not list the contacts of instance ${id}: ${text}; ${advice}`,
    { retryable: reason === "starting" },
  );
}

function toUnansweredError(id: InstanceId, code: string): UserError {
  const what =
    code === "NOT_UNDERSTOOD" ? "the answer is no list of contacts" : `there was no answer (${code})`;
  return new UserError(
    "contacts-unanswered",
    `GREEN-API does not list the contacts of instance ${id}: ${what}; try again, and if it stays so, check the URL: avatars instance show ${id}`,
    { retryable: true },
  );
}
