import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { BatchReport } from "../../../domain/views/batch.ts";
import type { InstanceOverview } from "../../../domain/views/instance-overview.ts";
import { settleWithin, sleep as sleepFor } from "../../../lib/deadline.ts";
import { createBell } from "../../answers/bell.ts";
import { maskNumbers } from "../../answers/mask-numbers.ts";
import type { ServerSentEvent } from "../../answers/server-sent-events.ts";
import { batchSchema, toBatch } from "../../schemas/batch.ts";
import { instanceStatusSchema, toInstanceStatus } from "../../schemas/status.ts";

export interface ConsoleFeedPorts {
  readonly readOverview: () => Promise<readonly InstanceOverview[]>;
  /** Never rejects, and answers within 3 s. */
  readonly isQueueReachable: () => Promise<boolean>;
  /** Waits so many ms, or until the signal is aborted. Never rejects. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** A monotonic clock, ms. */
  readonly now?: () => number;
}

export interface FeedReader {
  /** The id of the last event that was received, of this feed or of another one's. */
  readonly lastId: string | undefined;
  readonly canSee: (instanceId: string) => boolean;
  readonly signal: AbortSignal;
  /** A batch as it goes on. Its events have no version: it is told anew by each stream. */
  readonly reports: AsyncIterable<BatchReport> | undefined;
}

/**
 * Tells a reader where all instances stand: first all of them, then those that have changed. It tells also what is away: Postgres,
 * the queue. However many read, and come and go, Postgres is asked once in two seconds, and not at all while none reads. A reader who
 * comes within two seconds after a look is told at once what it has found. A reader who is slow gets what has changed since the event
 * before: nothing piles up.
 */
export type ConsoleFeed = (reader: FeedReader) => AsyncGenerator<ServerSentEvent, void, undefined>;

const intervalMs = 2_000;
/** Postgres is away where it has not answered by then. */
const patienceMs = 3_000;

/** All that is told, with the version that each part came with. */
interface FeedState {
  version: number;
  /** False: what is known is older than two seconds, and no reader was there to ask anew. */
  isFresh: boolean;
  at: Date;
  readonly rows: Map<string, Row>;
  readonly removed: Map<string, number>;
  away: { readonly parts: readonly AwayPart[]; readonly version: number };
}

/** What the server has to do without, and since when it knows. */
interface AwayPart {
  readonly name: "postgres" | "queue";
  readonly since: Date;
}

interface Row {
  /** As JSON, without its history. */
  readonly json: string;
  readonly version: number;
  readonly history: readonly number[];
}

export function createConsoleFeed({
  readOverview,
  isQueueReachable,
  sleep = sleepFor,
  now = () => performance.now(),
}: ConsoleFeedPorts): ConsoleFeed {
  const epoch = randomUUID().slice(0, 8);
  const bells = new Set<() => void>();
  const state: FeedState = {
    version: 0,
    isFresh: false,
    at: new Date(0),
    rows: new Map(),
    removed: new Map(),
    away: { parts: [], version: 1 },
  };
  let stopping = new AbortController();
  /** When the last look has begun, and the look that goes on. */
  let lookedAt = -Infinity;
  let looking: Promise<void> | undefined;

  async function look(): Promise<void> {
    lookedAt = now();
    const queue = isQueueReachable();
    const rows = await readRows();
    const missing: AwayPart["name"][] = rows ? [] : ["postgres"];
    const isQueueAway = state.away.parts.some(({ name }) => name === "queue");
    // What is there is told at once: the queue may take seconds to answer.
    take(state, rows, isQueueAway ? [...missing, "queue"] : missing);
    tell();
    take(state, undefined, (await queue) ? missing : [...missing, "queue"]);
    tell();
  }

  /** Undefined: Postgres is away. */
  async function readRows(): Promise<readonly InstanceOverview[] | undefined> {
    const overview = readOverview();
    const isThere = await settleWithin(overview, patienceMs).catch(() => false);
    const rows = isThere ? await overview.catch(() => undefined) : undefined;
    // What fails when it was given up is no surprise.
    overview.catch(() => undefined);
    return rows;
  }

  function tell(): void {
    state.isFresh = true;
    for (const ring of bells) ring();
  }

  async function run({ signal }: AbortController): Promise<void> {
    for (;;) {
      // A look that was begun for readers who have left serves those who have come.
      await looking;
      await sleep(Math.max(0, lookedAt + intervalMs - now()), signal);
      if (signal.aborted) return;
      looking ??= look().finally(() => (looking = undefined));
    }
  }

  function join(ring: () => void): void {
    bells.add(ring);
    if (bells.size > 1) return;
    stopping = new AbortController();
    state.isFresh &&= now() < lookedAt + intervalMs;
    void run(stopping);
  }

  function leave(ring: () => void): void {
    bells.delete(ring);
    if (bells.size === 0) stopping.abort();
  }

  return async function* watch({ lastId, canSee, signal, reports }) {
    const bell = createBell();
    let seen = toVersion(lastId, epoch);
    let batch: BatchReport | undefined;
    const toId = () => `${epoch}.${seen}`;
    const follow = async () => {
      for await (const report of reports ?? []) {
        if (!canSee(report.instanceId)) return;
        batch = report;
        bell.ring();
      }
    };
    if (signal.aborted) return;
    join(bell.ring);
    signal.addEventListener("abort", bell.ring);
    // A batch that cannot be read is told of no more: the rest goes on.
    const following = follow().catch(() => undefined);
    try {
      while (!signal.aborted) {
        if (state.isFresh && state.version > seen) {
          const { version } = state;
          const events = toEvents(state, seen, canSee);
          const last = events.pop();
          // A stream that breaks between two of them begins with the first again.
          for (const event of events) yield { ...event, id: toId() };
          seen = version;
          if (last) yield { ...last, id: toId() };
        } else if (batch) {
          // No hook sees what streams hold.
          const data = JSON.stringify(maskNumbers(z.encode(batchSchema, toBatch(batch))).masked);
          batch = undefined;
          yield { id: toId(), event: "batch", data };
        } else await bell.rung();
      }
      await following;
    } finally {
      signal.removeEventListener("abort", bell.ring);
      leave(bell.ring);
    }
  };
}

/** Takes in what was found: what has changed gets a new version. */
function take(
  state: FeedState,
  overviews: readonly InstanceOverview[] | undefined,
  away: readonly AwayPart["name"][],
): void {
  const version = state.version + 1;
  let isNew = state.version === 0;
  const { parts: known } = state.away;
  if (away.join() !== known.map(({ name }) => name).join()) {
    const parts = away.map((name) => known.find((part) => part.name === name) ?? { name, since: new Date() });
    state.away = { parts, version };
    isNew = true;
  }
  if (overviews) {
    state.at = new Date();
    isNew = takeRows(state, overviews, version) || isNew;
  }
  if (isNew) state.version = version;
}

function takeRows(state: FeedState, overviews: readonly InstanceOverview[], version: number): boolean {
  const { rows, removed } = state;
  const gone = new Set(rows.keys());
  let isNew = false;
  for (const overview of overviews) {
    const { instanceId, history } = overview;
    gone.delete(instanceId);
    removed.delete(instanceId);
    const { history: _, ...told } = z.encode(instanceStatusSchema, toInstanceStatus(overview));
    const json = JSON.stringify(told);
    const known = rows.get(instanceId);
    const isChanged = known?.json !== json;
    isNew ||= isChanged;
    rows.set(instanceId, { json, history, version: isChanged ? version : known.version });
  }
  for (const id of gone) {
    rows.delete(id);
    removed.set(id, version);
    isNew = true;
  }
  return isNew;
}

/** What has come after the version `seen`; 0: all of it. */
function toEvents(
  state: FeedState,
  seen: number,
  canSee: FeedReader["canSee"],
): Pick<ServerSentEvent, "event" | "data">[] {
  const events: Pick<ServerSentEvent, "event" | "data">[] = [];
  const { away, rows, removed, at } = state;
  if (away.version > seen) events.push({ event: "away", data: JSON.stringify({ away: away.parts }) });
  const isFull = seen === 0;
  const items = [...rows].flatMap(([id, { json, version, history }]) => {
    if (version <= seen || !canSee(id)) return [];
    return [isFull ? `${json.slice(0, -1)},"history":${JSON.stringify(history)}}` : json];
  });
  const gone = [...removed].flatMap(([id, version]) => (version > seen && canSee(id) && !isFull ? [id] : []));
  if (isFull || items.length > 0 || gone.length > 0) {
    const head = JSON.stringify({ at, full: isFull, removed: gone }).slice(0, -1);
    events.push({ event: "status", data: `${head},"items":[${items.join(",")}]}` });
  }
  return events;
}

/** The version of an event's id; 0: it is none of this feed, such as one of before a restart. */
function toVersion(lastId: string | undefined, epoch: string): number {
  const [, of, version] = /^([0-9a-f]{8})\.(\d{1,15})$/.exec(lastId ?? "") ?? [];
  return of === epoch ? Number(version) : 0;
}
