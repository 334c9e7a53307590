import type { Settlement } from "../domain/webhooks/settlement.ts";
import { selectItems } from "../domain/webhooks/select-items.ts";
import { settleWithin } from "../lib/deadline.ts";
import type { DispatcherPorts } from "./dispatcher-ports.ts";
import { createFeedCache } from "./feed-cache.ts";
import { addItems, createLaneState, takeNews, toRoom, type LaneState } from "./lane-state.ts";
import { createTries } from "./create-tries.ts";

/**
 * Sends the feed to all endpoints whose leases this process has: each step is to be run again and again. Every endpoint is a lane
 * of its own, so that one that hangs delays no other. Nothing is locked in Postgres while a request is under way.
 */
export interface Dispatcher {
  /** Every second: the leases last for ten. */
  readonly takeLeases: () => Promise<void>;
  /** Every few hundred milliseconds: looks how far the feed is, and has all lanes read on. */
  readonly readOn: () => Promise<void>;
  /** Every half second: begins what is to be tried again. */
  readonly retry: () => Promise<void>;
  /** Every few hundred milliseconds: writes what came of all tries, in one transaction. */
  readonly settle: () => Promise<void>;
  /** Begins nothing new, waits for what is under way, writes it, and gives the leases back. */
  stop(graceMs: number): Promise<void>;
}

const pageSize = 200;
/** Below it a lane reads on: requests need not wait for a page. */
const readsBelow = 50;
const callbacksInFlight = 16;

export function createDispatcher(ports: DispatcherPorts): Dispatcher {
  const lanes = new Map<string, LaneState>();
  const feed = createFeedCache(ports.readFeed, ports.clock);
  /** Told once. */
  const unreadable = new Set<string>();
  let horizon = 0;
  let isStopped = false;
  const tries = createTries(ports, (lane) => pump(lane));

  /** Begins what the lane has room for, and reads on where little waits. */
  function pump(lane: LaneState): void {
    if (isStopped) return;
    while (lane.waiting.length > 0 && toRoom(lane, ports.clock.now()) > 0) {
      const next = lane.waiting.shift();
      if (next) tries.begin(lane, next.item, next.readAt);
    }
    const { endpoint, isReading, waiting, readPos } = lane;
    const isAtHead = endpoint.isOrdered && lane.inFlight + waiting.length > 0;
    if (isReading || isAtHead || waiting.length >= readsBelow || readPos >= horizon) return;
    if (toRoom(lane, ports.clock.now()) > 0) void read(lane);
  }

  async function read(lane: LaneState): Promise<void> {
    const { endpoint, readPos } = lane;
    lane.isReading = true;
    try {
      const page = await feed(readPos, horizon, pageSize);
      // A hold has set it back meanwhile.
      if (lane.readPos !== readPos || lane.isOver) return;
      addItems(lane, selectItems(page.items, endpoint, endpoint.id), page.next, ports.clock.now());
    } catch (error) {
      ports.events.failed("read the feed for webhooks", error);
      return;
    } finally {
      lane.isReading = false;
    }
    pump(lane);
  }

  async function settle(): Promise<void> {
    const given = [...lanes.values()].flatMap((lane) => takeNews(lane) ?? []);
    const settlement: Settlement = {
      endpoints: given.map(({ progress }) => progress),
      failed: given.flatMap(({ failed }) => failed),
      taken: given.flatMap(({ taken }) => taken),
      deliveries: given.flatMap(({ deliveries }) => deliveries),
      retries: tries.takeRetryResults(),
    };
    if (settlement.endpoints.length + settlement.retries.length === 0) return;
    try {
      const moved = await ports.settle(settlement);
      for (const { id, epoch } of settlement.endpoints) if (!moved.has(id)) end(id, epoch);
    } catch (error) {
      // Their tries are not written: they begin again where Postgres has them. What was taken comes twice.
      for (const { id, epoch } of settlement.endpoints) end(id, epoch);
      throw error;
    }
    for (const { id, disable } of settlement.endpoints)
      if (disable) ports.events.webhookDisabled({ endpointId: id, reason: disable });
  }

  function end(id: string, epoch: number): void {
    const lane = lanes.get(id);
    if (lane?.endpoint.epoch !== epoch) return;
    lane.isOver = true;
    lanes.delete(id);
  }

  function tellUnreadable(endpointId: string): void {
    if (unreadable.has(endpointId)) return;
    unreadable.add(endpointId);
    ports.events.webhookUnreadable({ endpointId });
  }

  async function takeLeases(): Promise<void> {
    const leased = await ports.takeEndpoints();
    const known = new Map(leased.map((endpoint) => [endpoint.id, endpoint]));
    for (const [id, { endpoint }] of lanes)
      if (known.get(id)?.epoch !== endpoint.epoch) end(id, endpoint.epoch);
    if (isStopped) return;
    for (const endpoint of leased) {
      const lane = lanes.get(endpoint.id);
      if (lane) lane.endpoint = endpoint;
      else if (endpoint.secrets.length === 0) tellUnreadable(endpoint.id);
      else lanes.set(endpoint.id, createLaneState(endpoint, new Date(), ports.clock.now()));
    }
  }

  return {
    takeLeases,
    async readOn() {
      if (lanes.size === 0) return;
      horizon = Math.max(horizon, await ports.readHorizon());
      for (const lane of lanes.values()) pump(lane);
    },
    async retry() {
      const nowMs = ports.clock.now();
      const rooms = [...lanes].map(([id, lane]) => [id, toRoom(lane, nowMs)] as const);
      const callbackRoom = callbacksInFlight - tries.callbacksInFlight();
      const rows = await ports.claimRetries(new Map(rooms.filter(([, room]) => room > 0)), callbackRoom);
      await tries.beginRetries(rows, lanes);
    },
    settle,
    async stop(graceMs) {
      isStopped = true;
      for (const lane of lanes.values()) lane.waiting = [];
      await settleWithin(tries.whenIdle(), graceMs);
      // A write that failed is no reason to keep the leases.
      await settle().catch((error: unknown) => ports.events.failed("settle webhooks", error));
      await ports.giveEndpointsBack();
    },
  };
}
