import { toEventId } from "../domain/webhooks/event-id.ts";
import { isAvatarItem, listPersonal, toContactId, type FeedItem } from "../domain/webhooks/feed-item.ts";
import { toRetryWaitMs } from "../domain/webhooks/retry-schedule.ts";
import { selectItems } from "../domain/webhooks/select-items.ts";
import type { RetryResult, RetryRow } from "../domain/webhooks/settlement.ts";
import { toPayload } from "../domain/webhooks/to-payload.ts";
import type { SendResult } from "./create-sender.ts";
import type { DispatcherPorts } from "./dispatcher-ports.ts";
import {
  finishItem,
  holdAt,
  noteFailure,
  noteSuccess,
  putOff,
  type Failure,
  type LaneState,
} from "./lane-state.ts";

/** The requests of one process: each of a lane, or of the callback of a batch. */
export interface Tries {
  /** Begins the first try of an event. */
  begin(lane: LaneState, item: FeedItem, readAt: number): void;
  /** Begins further tries of events that were claimed. */
  beginRetries(rows: readonly RetryRow[], lanes: ReadonlyMap<string, LaneState>): Promise<void>;
  /** How retries ended since the last time. */
  takeRetryResults(): RetryResult[];
  callbacksInFlight(): number;
  whenIdle(): Promise<void>;
}

/** What was read longer ago is read again before it is sent: its contact may have been erased. */
const freshMs = 1_000;
/** Postgres was away, or slow: the next try comes after this long. */
const failedReadPauseMs = 1_000;
/** Successes that are remembered of one endpoint between two writes. Failures always are. */
const mostLogged = 3;

type Ports = Pick<DispatcherPorts, "send" | "findItems" | "toCallbackSecret" | "clock" | "random" | "events">;

/** @param freed told when a lane has room for another request */
export function createTries(ports: Ports, freed: (lane: LaneState) => void): Tries {
  const { send, findItems, clock, random, events } = ports;
  const working = new Set<Promise<void>>();
  let results: RetryResult[] = [];
  let callbacks = 0;

  function track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => events.failed("send a webhook", error))
      .finally(() => working.delete(tracked));
    working.add(tracked);
  }

  async function sendTo({ endpoint }: LaneState, item: FeedItem): Promise<SendResult> {
    const { id, url, secrets } = endpoint;
    const result = await send({
      url,
      secrets,
      id: toEventId(id, item.id),
      body: JSON.stringify(toPayload(item, endpoint)),
      personal: listPersonal(item),
    });
    tell(id, result);
    return result;
  }

  function tell(endpointId: string, { error }: SendResult): void {
    events.webhookTried({ endpointId, outcome: error === undefined ? "taken" : "failed", error });
  }

  /** An item that cannot be read now is neither settled nor lost: it comes next, in its order. @throws what the read has met */
  async function readOrWait(lane: LaneState, read: FeedItem, readAt: number): Promise<FeedItem | undefined> {
    try {
      return await readAgain(findItems, read);
    } catch (error) {
      lane.waiting.unshift({ item: read, readAt });
      lane.pausedUntil = Math.max(lane.pausedUntil, clock.now() + failedReadPauseMs);
      throw error;
    }
  }

  async function tryFirst(lane: LaneState, read: FeedItem, readAt: number): Promise<void> {
    const item = clock.now() - readAt < freshMs ? read : await readOrWait(lane, read, readAt);
    if (item === undefined) return finishItem(lane, read);
    const result = await sendTo(lane, item);
    remember(lane, item, result, { kind: "event", tries: lane.headTries + 1 });
    if (result.error === undefined) {
      noteSuccess(lane, item, result.at);
      return finishItem(lane, item);
    }
    noteFailure(lane, toFailure(result), clock.now());
    if (lane.isOver) return;
    const tries = lane.endpoint.isOrdered ? lane.headTries + 1 : 1;
    const waitMs = toRetryWaitMs(tries, result.retryAfterMs, random);
    if (waitMs === undefined) {
      events.webhookGivenUp({ endpointId: lane.endpoint.id, feedId: item.id, tries });
      return finishItem(lane, item);
    }
    if (lane.endpoint.isOrdered) return holdAt(lane, item, new Date(), waitMs, clock.now());
    putOff(lane, item, new Date(Date.now() + waitMs));
  }

  async function tryAgain(lane: LaneState, row: RetryRow, item: FeedItem | undefined): Promise<void> {
    const { endpoint } = lane;
    const isWanted =
      item !== undefined && !row.isOutdated && selectItems([item], endpoint, endpoint.id).length > 0;
    if (!isWanted) return void results.push({ ...row, nextTryAt: undefined });
    const result = await sendTo(lane, item);
    const tries = row.tries + 1;
    remember(lane, item, result, { kind: "retry", tries });
    if (result.error === undefined) {
      noteSuccess(lane, item, result.at);
      return void results.push({ ...row, nextTryAt: undefined });
    }
    noteFailure(lane, toFailure(result), clock.now());
    if (!lane.isOver) results.push(toRetryResult(endpoint.id, row, result));
  }

  async function tryCallback(row: RetryRow, item: FeedItem | undefined): Promise<void> {
    const { callback } = row;
    if (callback === undefined || item === undefined || item.type !== "batch.finished")
      return void results.push({ ...row, nextTryAt: undefined });
    const result = await send({
      url: callback.url,
      secrets: [ports.toCallbackSecret(callback.apiKeyId ?? "")],
      id: toEventId(item.batchId, item.id),
      body: JSON.stringify(toPayload(item, { omitsChatId: false })),
      personal: [],
    });
    tell("callback", result);
    if (result.error === undefined || result.error === "gone")
      return void results.push({ ...row, nextTryAt: undefined });
    results.push(toRetryResult("callback", row, result));
  }

  function toRetryResult(endpointId: string, row: RetryRow, { retryAfterMs }: SendResult): RetryResult {
    const tries = row.tries + 1;
    const waitMs = toRetryWaitMs(tries, retryAfterMs, random);
    if (waitMs === undefined) events.webhookGivenUp({ endpointId, feedId: row.feedId, tries });
    return {
      id: row.id,
      feedId: row.feedId,
      nextTryAt: waitMs === undefined ? undefined : new Date(Date.now() + waitMs),
    };
  }

  function inLane(lane: LaneState, work: Promise<void>): void {
    track(
      work.finally(() => {
        lane.inFlight -= 1;
        freed(lane);
      }),
    );
  }

  return {
    begin(lane, item, readAt) {
      lane.inFlight += 1;
      inLane(lane, tryFirst(lane, item, readAt));
    },
    async beginRetries(rows, lanes) {
      if (rows.length === 0) return;
      const items = await findItems([...new Set(rows.map(({ feedId }) => feedId))]);
      for (const row of rows) {
        const lane = row.endpointId === undefined ? undefined : lanes.get(row.endpointId);
        if (lane) {
          lane.inFlight += 1;
          inLane(lane, tryAgain(lane, row, items.get(row.feedId)));
        } else if (row.endpointId === undefined) {
          callbacks += 1;
          track(tryCallback(row, items.get(row.feedId)).finally(() => (callbacks -= 1)));
        }
      }
    },
    takeRetryResults() {
      const taken = results;
      results = [];
      return taken;
    },
    callbacksInFlight: () => callbacks,
    async whenIdle() {
      while (working.size > 0) await Promise.all(working);
    },
  };
}

/** The event as it is now; undefined: its contact is gone. What several changes have made of it stays. */
async function readAgain(findItems: Ports["findItems"], item: FeedItem): Promise<FeedItem | undefined> {
  const now = (await findItems([item.id])).get(item.id);
  if (now === undefined || !isAvatarItem(now) || !isAvatarItem(item)) return now;
  return { ...now, previousVersion: item.previousVersion };
}

function toFailure({ at, status, retryAfterMs }: SendResult): Failure {
  return { at, isGone: status === 410, retryAfterMs };
}

function remember(
  lane: LaneState,
  item: FeedItem,
  { at, tookMs, status, error, answer }: SendResult,
  { kind, tries }: { readonly kind: "event" | "retry"; readonly tries: number },
): void {
  const isNew = lane.deliveries.filter((delivery) => delivery.error === undefined).length < mostLogged;
  if (error === undefined && !isNew) return;
  lane.hasNews = true;
  lane.deliveries.push({
    endpointId: lane.endpoint.id,
    feedId: item.id,
    contactId: toContactId(item),
    type: item.type,
    kind,
    tries,
    at,
    tookMs,
    status,
    error,
    answer,
  });
}
