import { beginWalk, rest, walk, type CareWalk } from "../care/care-walk.ts";
import type { CareFacts } from "../care/care.ts";
import type { InstanceId } from "../instance-id.ts";
import {
  agedShare,
  refreshCauses,
  toIntervalMs,
  toRefreshCause,
  type RefreshCause,
} from "../refresh/refresh-step.ts";

/** Contacts of one instance and step that rest (refresh-step.ts) and are due by the end of the window. */
export interface RefreshCount {
  readonly instanceId: InstanceId;
  readonly step: number;
  /** Due now; by the beginning of the window; by its end. */
  readonly dueNow: number;
  readonly dueFrom: number;
  readonly dueUntil: number;
  /** When the first of them is, or was, due. */
  readonly oldestAt: Date;
}

/** An instance as far as its plan needs to know it. */
export interface PlannedInstance {
  readonly instanceId: InstanceId;
  readonly state: "active" | "held" | "paused";
  /** Calls per second that it may make. */
  readonly requestsPerSecond: number;
  readonly share: number;
  readonly dayShare: number;
  /** Contacts that others have asked for and that wait: they go first. */
  readonly backlog: number;
  /** Undefined: it is called at any time, and any number of times. */
  readonly care?: CareFacts | undefined;
}

/** A stretch of time with one share. */
export interface PlanWindow {
  readonly from: Date;
  readonly until: Date;
}

export type CountByCause = Readonly<Record<RefreshCause, number>>;

/** What is due, and how far the next window gets. */
export interface ResyncForecast {
  readonly now: Date;
  /** The window that is planned: the one that has begun, or the next; undefined: there are no nights. */
  readonly window: PlanWindow | undefined;
  readonly instances: readonly ResyncPlan[];
}

/** What one instance has to refresh in a window, and how far it gets. */
export interface ResyncPlan {
  readonly instanceId: InstanceId;
  readonly state: PlannedInstance["state"];
  /** Due now, by cause. */
  readonly dueNow: CountByCause;
  /** To be asked in the window: due by its end, without what is asked by day until it begins. */
  readonly due: CountByCause;
  /** Calls that the resync has in the window. */
  readonly calls: number;
  /** How many of the due contacts that is enough for. */
  readonly fits: number;
  /** When the last of them has been asked; undefined: there are none, or none fits. */
  readonly finishesAt: Date | undefined;
  /** Due contacts that wait longer, by cause: those that are worth least. */
  readonly leftOver: CountByCause;
  /** When the last of those is asked, if no others come before them; undefined: there are none, or it takes too long to tell. */
  readonly waitsUntil: Date | undefined;
  /**
   * The one number that says whether the calls suffice: how late the latest contact is, as a multiple of its interval. 1: each is
   * asked when it is due. 1.5: one that should be asked every 7 days is asked every 10.5.
   */
  readonly stretch: number;
}

/** A plan ends after so many windows. */
const mostWindows = 60;

/**
 * Plans a window of one instance. Pure.
 * @param following the windows after it, in order, to tell until when the rest waits
 */
export function planResync(
  instance: PlannedInstance,
  counts: readonly RefreshCount[],
  window: PlanWindow,
  following: Iterable<PlanWindow>,
  now: Date,
): ResyncPlan {
  const rate = instance.state === "paused" ? 0 : instance.requestsPerSecond / 1000;
  const dayRate = rate * instance.dayShare;
  const { care, share, backlog } = instance;
  const [fromMs, untilMs] = [window.from.getTime(), window.until.getTime()];
  // Others go first, at the full rate; by day the resync takes its share of what they leave.
  const others = walk(care, beginWalk(care, now.getTime()), { perMs: rate, untilMs, calls: backlog });
  const day = walk(care, others.walk, { perMs: dayRate, untilMs: fromMs, calls: sum(counts, "dueFrom") });
  const due = take(
    countBy(counts, ({ dueUntil }) => dueUntil),
    toWhole(day.made),
  ).left;
  const begin = rest(care, day.walk, fromMs);
  const nightRate = rate * share;
  const night = walk(care, begin, { perMs: nightRate, untilMs, calls: Infinity });
  const calls = toWhole(night.made);
  const { taken, left } = take(due, calls);
  const fits = total(taken);
  const finishesAtMs = walk(care, begin, { perMs: nightRate, untilMs, calls: fits }).walk.atMs;
  return {
    instanceId: instance.instanceId,
    state: instance.state,
    dueNow: countBy(counts, ({ dueNow }) => dueNow),
    due,
    calls,
    fits,
    finishesAt: fits === 0 ? undefined : new Date(finishesAtMs),
    leftOver: left,
    waitsUntil: findEnd(total(left), rest(care, night.walk, untilMs), following, {
      care,
      day: dayRate,
      window: nightRate,
    }),
    stretch: findStretch(counts, now),
  };
}

function countBy(counts: readonly RefreshCount[], pick: (count: RefreshCount) => number): CountByCause {
  const byCause = Object.fromEntries(refreshCauses.map((cause) => [cause, 0])) as Record<
    RefreshCause,
    number
  >;
  for (const count of counts) byCause[toRefreshCause(count.step)] += pick(count);
  return byCause;
}

function sum(counts: readonly RefreshCount[], name: "dueFrom"): number {
  return counts.reduce((all, count) => all + count[name], 0);
}

/** All causes together. */
export function total(counts: CountByCause): number {
  return refreshCauses.reduce((all, cause) => all + counts[cause], 0);
}

/** Takes so many, in the order of worth, but for the share of those that are due by age. */
function take(
  from: CountByCause,
  calls: number,
): { readonly taken: CountByCause; readonly left: CountByCause } {
  const taken: Record<RefreshCause, number> = { ...from };
  const left: Record<RefreshCause, number> = { ...from };
  taken.age = Math.min(from.age, Math.floor(calls * agedShare));
  let remaining = calls - taken.age;
  for (const cause of refreshCauses) {
    const already = cause === "age" ? taken.age : 0;
    const more = Math.min(from[cause] - already, remaining);
    taken[cause] = already + more;
    left[cause] = from[cause] - taken[cause];
    remaining -= more;
  }
  return { taken, left };
}

/** So many whole calls. A millionth is what floating point takes of one. */
function toWhole(calls: number): number {
  return Math.floor(calls + 1e-6);
}

/** Calls per ms that a resync has, while the instance may be called. */
interface Rates {
  readonly care: CareFacts | undefined;
  readonly day: number;
  readonly window: number;
}

function findEnd(
  contacts: number,
  since: CareWalk,
  windows: Iterable<PlanWindow>,
  rates: Rates,
): Date | undefined {
  if (contacts === 0) return undefined;
  let left = contacts;
  let at = since;
  let seen = 0;
  for (const { from, until } of windows) {
    for (const [endMs, perMs] of [
      [from.getTime(), rates.day],
      [until.getTime(), rates.window],
    ] as const) {
      const next = walk(rates.care, at, { perMs, untilMs: endMs, calls: left });
      if (next.made >= left) return new Date(next.walk.atMs);
      left -= next.made;
      at = rest(rates.care, next.walk, endMs);
    }
    seen += 1;
    if (seen === mostWindows) return undefined;
  }
  return undefined;
}

/** Of contacts that are due by their age: the others are not stretched. */
function findStretch(counts: readonly RefreshCount[], now: Date): number {
  const stretches = counts.map(({ step, oldestAt }) =>
    step < 0 ? 1 : 1 + (now.getTime() - oldestAt.getTime()) / toIntervalMs(step),
  );
  return Math.max(1, ...stretches);
}
