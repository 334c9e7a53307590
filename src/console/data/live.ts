import type { z } from "zod";
import type { Batch, Readiness } from "../../client/wire.ts";
import type { instanceStatusSchema } from "../../http/schemas/status.ts";
import { call, toUrl } from "./api.ts";

export type InstanceStatus = z.input<typeof instanceStatusSchema>;

/** What the stream tells: one for the whole page. */
export interface Live {
  /** `waiting`: nothing is told, and the server is there. `lost`: it does not answer. */
  readonly link: "waiting" | "live" | "lost";
  /** Since when it is lost, ms since 1970. */
  readonly lostAt: number | undefined;
  /** What the server has to do without. */
  readonly away: readonly AwayPart[];
  readonly instances: ReadonlyMap<string, InstanceStatus>;
  /** False: which instances there are was not told yet. */
  readonly isTold: boolean;
  /** The batch that is followed. */
  readonly batch: Batch | undefined;
  /** Numbers may be asked for. */
  readonly mayReveal: boolean;
}

export interface AwayPart {
  /** `postgres`, `queue`. */
  readonly name: string;
  /** A moment in ISO 8601. */
  readonly since: string;
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
/** The server answers within 3 s, whatever is away. */
const patienceMs = 5_000;

export interface LiveOptions {
  /** The batch that is followed from the start. */
  readonly batchId: string | undefined;
  /** Settled when it is known whether there is a session: the stream is opened before that, and saves a page the wait. */
  readonly session: Promise<unknown>;
}

/** Opens the stream, and opens it again when it is lost. While the page is hidden it is closed. */
export function openLive({ batchId, session }: LiveOptions): LiveStore {
  let live: Live = {
    link: "waiting",
    lostAt: undefined,
    away: [],
    instances: new Map(),
    isTold: false,
    batch: undefined,
    mayReveal: false,
  };
  let source: EventSource | undefined;
  let lastId = "";
  let followed = batchId;
  let isStopped = false;
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
    on("hello", (data) => set({ ...isThere, ...(JSON.parse(data) as Pick<Live, "mayReveal">) }));
    on("away", (data) => set(JSON.parse(data) as Pick<Live, "away">));
    on("batch", (data) => set({ batch: JSON.parse(data) as Batch }));
    on("status", (data) => {
      const event = JSON.parse(data) as StatusEvent;
      set({ ...isThere, isTold: true, instances: merge(live.instances, event) });
    });
    // The browser would come back by itself after some faults, and not after others.
    source.addEventListener("error", () => {
      close();
      retry = setTimeout(open, retryMs);
      void findOut();
    });
  }

  /** A stream that ends does not tell why. */
  async function findOut(): Promise<void> {
    // Without a session there is no stream, and nothing to find out.
    await session.catch(() => undefined);
    if (isStopped) return;
    const missing = await readMissing();
    // It may be open again by now.
    if (source !== undefined && source.readyState === EventSource.OPEN) return;
    if (missing === undefined) return set({ link: "lost", lostAt: live.lostAt ?? Date.now() });
    const away = missing.map((name) => toAwayPart(name, live.away));
    set({ link: "waiting", lostAt: undefined, away });
    // Where all is there the session may have ended: the call tells those who listen.
    if (missing.length === 0) await call("GET", "v1/keys/self").catch(() => undefined);
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
      if (source) turn();
    },
    stop() {
      isStopped = true;
      document.removeEventListener("visibilitychange", turn);
      clearInterval(sampling);
      close();
    },
  };
}

const isThere = { link: "live", lostAt: undefined } as const;

/** What the server has to do without; undefined: it does not answer, or is stopping. */
async function readMissing(): Promise<string[] | undefined> {
  try {
    const response = await fetch(toUrl("readyz"), { signal: AbortSignal.timeout(patienceMs) });
    const { missing } = (await response.json()) as Readiness;
    const names = missing.map(({ name }) => name);
    return response.ok || names.includes("postgres") ? names : undefined;
  } catch {
    return undefined;
  }
}

function toAwayPart(name: string, known: readonly AwayPart[]): AwayPart {
  return known.find((part) => part.name === name) ?? { name, since: new Date().toISOString() };
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
