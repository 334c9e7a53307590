import type { ContactPast } from "../../src/domain/lookup/due-contact.ts";
import type { RefreshPolicy } from "../../src/domain/refresh/refresh-policy.ts";

const dayMs = 86_400_000;

/** A contact that was never asked. */
export const noPast: ContactPast = {
  status: "unknown",
  firstSeenAt: undefined,
  changes: 0,
  version: undefined,
  refreshStep: undefined,
};

const intervals = {
  presentMs: 7 * dayMs,
  absentMs: 14 * dayMs,
  hiddenMs: 30 * dayMs,
  invalidMs: undefined,
  unreachableMs: dayMs,
  unreachableMaxMs: 30 * dayMs,
};

/** The policy of the defaults, where no images are kept. */
export const defaultRefreshPolicy: RefreshPolicy = {
  users: intervals,
  groups: intervals,
  soonestMs: dayMs,
  latestMs: 60 * dayMs,
  keepUrlsFresh: true,
  urlMarginMs: dayMs,
};
