import type { ChatId } from "../chat-id.ts";
import type { ContactPast, DueContact } from "../lookup/due-contact.ts";
import type { AvatarFinding, ContactDecision } from "../lookup/decide.ts";
import type { ContactStatus } from "../contact-status.ts";
import { isUnknown } from "../avatar-version.ts";
import { expiringUrlStep, toIntervalMs, toStep } from "./refresh-step.ts";
import { habitFactor, type RefreshHabits } from "./habit-factor.ts";

/** When contacts that rest are asked again, by what is known of them. All in ms; undefined: not unless it is asked for. */
export interface RefreshIntervals {
  /** A contact whose habits are not known yet. */
  readonly presentMs: number | undefined;
  readonly absentMs: number | undefined;
  readonly hiddenMs: number | undefined;
  readonly invalidMs: number | undefined;
  /** After the first time that all attempts were spent; it doubles each time, up to the other one. */
  readonly unreachableMs: number | undefined;
  readonly unreachableMaxMs: number;
}

export interface RefreshPolicy {
  readonly users: RefreshIntervals;
  readonly groups: RefreshIntervals;
  /** No habit makes an interval shorter, or longer; one that is set outside of them is its own bound. */
  readonly soonestMs: number;
  readonly latestMs: number;
  /** Is a contact due also because its URL is about to expire? */
  readonly keepUrlsFresh: boolean;
  /** So long before its URL expires at the latest; at half of its life where that is later. */
  readonly urlMarginMs: number;
}

/** When a contact that rests is due again, and what it is worth then (refresh-step.ts). */
export type Refresh = { readonly at: Date; readonly step: number } | "never";

/** Moments of contacts that were asked together are spread over this share of their interval. */
const spread = 0.1;
/** The same for the margin of a URL. */
const marginSpread = 0.5;
/** WhatsApp's URLs live for days; one without an expiry is taken to live for one (provider contract, The URL). */
const assumedUrlLifeMs = 24 * 3_600_000;
/** Some URLs are handed out as good as expired: looking again at once would bring another one of them. */
const leastUrlLifeMs = 3_600_000;

/**
 * When the contact is to be asked again, from what the lookup has told, what was known before, and the settings. Pure: the same
 * contact has the same jitter for ever. Undefined: nothing is decided, since the contact does not come to rest by this.
 * @param askedAt when the call was sent
 */
export function planRefresh(
  contact: DueContact,
  decision: ContactDecision,
  askedAt: Date,
  policy: RefreshPolicy,
): Refresh | undefined {
  const intervals = isGroup(contact.chatId) ? policy.groups : policy.users;
  switch (decision.kind) {
    case "answer": {
      const intervalMs = toBaseMs(decision.status, intervals);
      const byAge =
        intervalMs === undefined ? "never" : planByAge(contact, decision, askedAt, intervalMs, policy);
      return decision.avatar.kind === "seen" && policy.keepUrlsFresh
        ? sooner(byAge, planByUrl(contact, decision.avatar.urlExpiresAt, askedAt, policy))
        : byAge;
    }
    case "give-up":
      return planUnreachable(contact, askedAt, intervals);
    case "retry":
    case "release":
      return undefined;
  }
}

/** Groups have intervals of their own: their pictures are set by their admins. */
function isGroup(chatId: ChatId): boolean {
  return chatId.endsWith("@g.us");
}

function toBaseMs(status: ContactStatus, intervals: RefreshIntervals): number | undefined {
  switch (status) {
    case "present":
      return intervals.presentMs;
    case "absent":
      return intervals.absentMs;
    case "hidden":
      return intervals.hiddenMs;
    case "invalid":
      return intervals.invalidMs;
    case "unreachable":
    case "unknown":
      return intervals.unreachableMs;
  }
}

function planByAge(
  { contactId, past }: DueContact,
  { avatar }: Extract<ContactDecision, { kind: "answer" }>,
  askedAt: Date,
  baseMs: number,
  policy: RefreshPolicy,
): Refresh {
  const factor = habitFactor(toHabits(past, avatar, askedAt));
  const soonestMs = Math.min(policy.soonestMs, baseMs);
  const latestMs = Math.max(policy.latestMs, baseMs);
  return planIn(contactId, Math.min(latestMs, Math.max(soonestMs, baseMs * factor)), askedAt);
}

/** What is known of how often the avatar changes, with this answer. */
function toHabits(past: ContactPast, avatar: AvatarFinding, askedAt: Date): RefreshHabits {
  const { firstSeenAt, changes } = past;
  if (firstSeenAt === undefined) return { watchedMs: 0, changes };
  const watchedMs = askedAt.getTime() - firstSeenAt.getTime();
  if (avatar.kind === "keep") return { watchedMs, changes };
  const version = avatar.kind === "seen" ? avatar.version : undefined;
  const isTold = [version, past.version].every((one) => one === undefined || !isUnknown(one));
  if (isTold || version === undefined || past.version === undefined)
    return { watchedMs, changes: changes + (version === past.version ? 0 : 1) };
  // A version that says nothing is no evidence, neither of a change nor of none. Images are, and their changes are counted.
  return isUnknown(past.version) ? { watchedMs: 0, changes: 0 } : { watchedMs, changes };
}

function planIn(contactId: number, intervalMs: number, askedAt: Date): Refresh {
  const afterMs = intervalMs * (1 - spread * toFraction(contactId));
  return { at: new Date(askedAt.getTime() + afterMs), step: toStep(intervalMs) };
}

function planByUrl(
  { contactId }: DueContact,
  urlExpiresAt: Date | undefined,
  askedAt: Date,
  { urlMarginMs }: RefreshPolicy,
): Refresh {
  const lifeMs = urlExpiresAt ? urlExpiresAt.getTime() - askedAt.getTime() : assumedUrlLifeMs;
  if (lifeMs < leastUrlLifeMs) return "never";
  const marginMs = urlMarginMs * (1 + marginSpread * toFraction(contactId));
  // Half of its life, spread likewise: with one margin for all that live shorter a whole import would be due at once.
  const afterMs = Math.max(lifeMs - marginMs, (lifeMs / 2) * (1 - spread * toFraction(contactId)));
  return { at: new Date(askedAt.getTime() + afterMs), step: expiringUrlStep };
}

function planUnreachable(
  { contactId, past }: DueContact,
  askedAt: Date,
  { unreachableMs, unreachableMaxMs }: RefreshIntervals,
): Refresh {
  if (unreachableMs === undefined) return "never";
  // The interval that ended with this lookup, where it was of the same kind.
  const lastMs =
    past.status === "unreachable" && past.refreshStep !== undefined && past.refreshStep >= 0
      ? toIntervalMs(past.refreshStep)
      : undefined;
  const intervalMs = lastMs === undefined ? unreachableMs : Math.max(unreachableMs, 2 * lastMs);
  return planIn(contactId, Math.min(intervalMs, Math.max(unreachableMs, unreachableMaxMs)), askedAt);
}

function sooner(one: Refresh, other: Refresh): Refresh {
  if (one === "never" || other === "never") return one === "never" ? other : one;
  return other.at < one.at ? other : one;
}

/**
 * From 0 to 1, the same for a contact for ever: multiples of the golden ratio lie evenly, whichever run of ids is looked at, and
 * contacts that came in together have ids in a row.
 */
function toFraction(contactId: number): number {
  return (contactId * 0.618_033_988_749_894_9) % 1;
}
