import { toContactId, type FeedItem } from "../domain/webhooks/feed-item.ts";
import { failingForMs } from "../domain/webhooks/retry-schedule.ts";
import type { EndpointProgress, LeasedEndpoint, Settlement } from "../domain/webhooks/settlement.ts";

/** Events that are selected and not begun, and when they were read, ms of a monotonic clock. */
interface Waiting {
  readonly item: FeedItem;
  readonly readAt: number;
}

/** One endpoint in the process that sends to it. Each function here is one step; none waits. */
export interface LaneState {
  endpoint: LeasedEndpoint;
  /** The feed is read up to here. */
  readPos: number;
  waiting: Waiting[];
  /** Places of events that are selected and not settled, ascending: the cursor stays before the first. */
  readonly unsettled: Set<number>;
  inFlight: number;
  /** Failures in a row. */
  failures: number;
  /** Nothing is begun before, ms of a monotonic clock. */
  pausedUntil: number;
  isReading: boolean;
  /** Nothing is begun any more: it is disabled, or its lease is gone. */
  isOver: boolean;
  failingSince: Date | undefined;
  lastSuccessAt: Date | undefined;
  headTries: number;
  headNextAt: Date | undefined;
  disable: EndpointProgress["disable"];
  /** There may be retries, which what is newer makes out of date. */
  mayHaveRetries: boolean;
  /** To be written. */
  failed: Settlement["failed"][number][];
  taken: Settlement["taken"][number][];
  deliveries: Settlement["deliveries"][number][];
  hasNews: boolean;
}

/** In flight to one endpoint, and to one that has failed several times in a row. */
const mostInFlight = 16;
const downAfter = 3;
const firstPauseMs = 5_000;
const longestPauseMs = 60_000;
/** What is not written yet is bounded: then nothing is begun. */
const mostUnwritten = 2_000;

/** @param nowMs of a monotonic clock */
export function createLaneState(endpoint: LeasedEndpoint, now: Date, nowMs: number): LaneState {
  const { cursor, failingSince, headTries, headNextAt } = endpoint;
  return {
    endpoint,
    readPos: cursor,
    waiting: [],
    unsettled: new Set(),
    inFlight: 0,
    failures: 0,
    pausedUntil: headNextAt === undefined ? -Infinity : nowMs + (headNextAt.getTime() - now.getTime()),
    isReading: false,
    isOver: false,
    failingSince,
    lastSuccessAt: undefined,
    headTries,
    headNextAt,
    disable: undefined,
    mayHaveRetries: true,
    failed: [],
    taken: [],
    deliveries: [],
    hasNews: false,
  };
}

/** How many requests may begin now. */
export function toRoom(lane: LaneState, nowMs: number): number {
  if (lane.isOver || nowMs < lane.pausedUntil || lane.failed.length + lane.taken.length > mostUnwritten)
    return 0;
  const most = lane.endpoint.isOrdered || lane.failures >= downAfter ? 1 : mostInFlight;
  return Math.max(0, most - lane.inFlight);
}

/** Puts a part of the feed behind what waits. */
export function addItems(lane: LaneState, items: readonly FeedItem[], next: number, nowMs: number): void {
  for (const item of items) {
    lane.unsettled.add(item.id);
    lane.waiting.push({ item, readAt: nowMs });
  }
  lane.hasNews ||= next !== lane.readPos;
  lane.readPos = next;
}

/** An event was taken, or is not to be told. */
export function finishItem(lane: LaneState, item: FeedItem): void {
  lane.unsettled.delete(item.id);
  lane.headTries = 0;
  lane.headNextAt = undefined;
  lane.hasNews = true;
}

/** The receiver took something. */
export function noteSuccess(lane: LaneState, item: FeedItem, at: Date): void {
  lane.failures = 0;
  lane.failingSince = undefined;
  lane.lastSuccessAt = at;
  lane.hasNews = true;
  const contactId = toContactId(item);
  if (lane.mayHaveRetries && contactId !== undefined)
    lane.taken.push({ endpointId: lane.endpoint.id, contactId, feedId: item.id });
}

/**
 * The receiver did not take something. After some failures in a row one event at a time is tried, with pauses in between: what
 * comes meanwhile waits in the feed, and costs nothing there.
 */
export function noteFailure(lane: LaneState, failure: Failure, nowMs: number): void {
  lane.failures += 1;
  lane.hasNews = true;
  lane.failingSince ??= failure.at;
  if (failure.isGone) disable(lane, "gone");
  else if (failure.at.getTime() - lane.failingSince.getTime() >= failingForMs) disable(lane, "failing");
  const pauseMs =
    lane.failures < downAfter
      ? 0
      : Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(lane.failures - downAfter, 10));
  lane.pausedUntil = Math.max(lane.pausedUntil, nowMs + Math.max(pauseMs, failure.retryAfterMs ?? 0));
}

export interface Failure {
  readonly at: Date;
  readonly isGone: boolean;
  readonly retryAfterMs: number | undefined;
}

function disable(lane: LaneState, reason: NonNullable<EndpointProgress["disable"]>): void {
  lane.disable ??= reason;
  lane.isOver = true;
}

/** The event has a row in webhook_retries from now on: those behind it go on. */
export function putOff(lane: LaneState, item: FeedItem, nextTryAt: Date): void {
  lane.unsettled.delete(item.id);
  const { id: endpointId } = lane.endpoint;
  lane.failed.push({ endpointId, feedId: item.id, contactId: toContactId(item), nextTryAt });
  lane.mayHaveRetries = true;
}

/** An ordered endpoint stands at the event until its next try, and then reads it anew: what came after may have replaced it. */
export function holdAt(lane: LaneState, item: FeedItem, now: Date, waitMs: number, nowMs: number): void {
  lane.headTries += 1;
  lane.headNextAt = new Date(now.getTime() + waitMs);
  lane.pausedUntil = Math.max(lane.pausedUntil, nowMs + waitMs);
  lane.readPos = Math.min(item.id - 1, toCursor(lane));
  lane.waiting = [];
  lane.unsettled.clear();
}

/** All of the feed up to it was taken, was not for this endpoint, or has its row. */
function toCursor({ unsettled, readPos }: LaneState): number {
  for (const id of unsettled) return id - 1;
  return readPos;
}

type LanePart = { readonly progress: EndpointProgress } & Pick<Settlement, "failed" | "taken" | "deliveries">;

/** What is to be written since the last time; undefined: nothing. It is given once: where it cannot be written the lane is over. */
export function takeNews(lane: LaneState): LanePart | undefined {
  if (!lane.hasNews) return undefined;
  const { endpoint, failingSince, lastSuccessAt, headTries, headNextAt, deliveries } = lane;
  const progress: EndpointProgress = {
    id: endpoint.id,
    epoch: endpoint.epoch,
    cursor: toCursor(lane),
    failingSince,
    lastSuccessAt,
    headTries,
    headNextAt,
    disable: lane.disable,
  };
  const newest = keepNewest(lane.failed, lane.taken);
  lane.failed = [];
  lane.taken = [];
  lane.deliveries = [];
  lane.hasNews = false;
  return { progress, ...newest, deliveries };
}

/** Of each contact what is newest: one row is written for it, or none. */
function keepNewest(
  failed: readonly LaneState["failed"][number][],
  taken: readonly LaneState["taken"][number][],
): Pick<Settlement, "failed" | "taken"> {
  const newest = new Map<number, number>();
  for (const { contactId, feedId } of [...failed, ...taken])
    if (contactId !== undefined) newest.set(contactId, Math.max(feedId, newest.get(contactId) ?? 0));
  const isNewest = ({ contactId, feedId }: { contactId?: number | undefined; feedId: number }) =>
    contactId === undefined || newest.get(contactId) === feedId;
  return { failed: failed.filter(isNewest), taken: taken.filter(isNewest) };
}
