import type { z } from "zod";
import type { Batch } from "../../client/wire.ts";
import type { instanceStatusSchema } from "../../http/schemas/status.ts";
import { toUrl } from "./api.ts";

export type InstanceStatus = z.input<typeof instanceStatusSchema>;

/** What the stream tells: one for the whole page. */
export interface Live {
  /** `waiting`: nothing was told yet. `lost`: the server does not answer. */
  readonly link: "waiting" | "live" | "lost";
  /** What the server has to do without: `postgres`, `queue`. */
  readonly away: readonly string[];
  readonly instances: ReadonlyMap<string, InstanceStatus>;
  /** The batch that is followed. */
  readonly batch: Batch | undefined;
  /** Numbers may be asked for. */
  readonly mayReveal: boolean;
}

interface StatusEvent {
  readonly full: boolean;
  readonly removed: readonly string[];
  readonly items: readonly (Omit<InstanceStatus, "history"> & { readonly history?: number[] })[];
}

export interface LiveStore {
  get(): Live;
  /** Returns what ends it. */
  subscribe(listener: () => void): () => void;
  /** Follows a batch beside the rest; undefined: none. */
  follow(batchId: string | undefined): void;
  stop(): void;
}

const historyLength = 60;
const sampleMs = 5_000;
const retryMs = 2_000;

/** Opens the stream, and opens it again when it is lost. While the page is hidden it is closed. */
export function openLive(): LiveStore {
  let live: Live = { link: "waiting", away: [], instances: new Map(), batch: undefined, mayReveal: false };
  let source: EventSource | undefined;
  let lastId = "";
  let followed: string | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  const listeners = new Set<() => void>();

  function set(change: Partial<Live>): void {
    live = { ...live, ...change };
    for (const listener of listeners) listener();
  }

  function on(name: string, take: (data: string) => void): void {
    source?.addEventListener(name, (event: MessageEvent<string>) => {
      if (event.lastEventId !== "") lastId = event.lastEventId;
      take(event.data);
    });
  }

  function open(): void {
    close();
    source = new EventSource(toUrl("console/stream", { last: lastId, batch: followed }));
    on("hello", (data) => set({ link: "live", ...(JSON.parse(data) as Pick<Live, "mayReveal">) }));
    on("away", (data) => set(JSON.parse(data) as Pick<Live, "away">));
    on("batch", (data) => set({ batch: JSON.parse(data) as Batch }));
    on("status", (data) => {
      const event = JSON.parse(data) as StatusEvent;
      set({ link: "live", instances: merge(live.instances, event) });
    });
    // The browser would come back by itself after some faults, and not after others.
    source.addEventListener("error", () => {
      close();
      set({ link: "lost" });
      retry = setTimeout(open, retryMs);
    });
  }

  function close(): void {
    clearTimeout(retry);
    source?.close();
    source = undefined;
  }

  function turn(): void {
    if (document.hidden) close();
    else open();
  }

  document.addEventListener("visibilitychange", turn);
  const sampling = setInterval(() => set({ instances: sample(live.instances) }), sampleMs);
  turn();

  return {
    get: () => live,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    follow(batchId) {
      if (followed === batchId) return;
      followed = batchId;
      set({ batch: undefined });
      turn();
    },
    stop() {
      document.removeEventListener("visibilitychange", turn);
      clearInterval(sampling);
      close();
    },
  };
}

function merge(known: Live["instances"], { full, removed, items }: StatusEvent): Live["instances"] {
  const instances = new Map(full ? [] : known);
  for (const id of removed) instances.delete(id);
  for (const item of items) {
    const history = item.history ?? known.get(item.instanceId)?.history ?? [];
    instances.set(item.instanceId, { ...item, history });
  }
  return new Map([...instances].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Adds the pace of now to the histories, as the server does. */
function sample(known: Live["instances"]): Live["instances"] {
  return new Map(
    [...known].map(([id, status]) => {
      const history = [...status.history, status.callsPerSecond].slice(-historyLength);
      return [id, { ...status, history }];
    }),
  );
}
