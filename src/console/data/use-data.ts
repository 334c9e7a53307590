import { createContext } from "preact";
import { useCallback, useContext, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { CallError } from "./api.ts";
import type { Live, LiveStore } from "./live.ts";

export const LiveContext = createContext<LiveStore | undefined>(undefined);

function useLiveStore(): LiveStore {
  const store = useContext(LiveContext);
  if (!store) throw new Error("there is no stream above");
  return store;
}

/** What the stream tells; the page is drawn anew when it changes. */
export function useLive(): Live {
  const store = useLiveStore();
  const [live, setLive] = useState(store.get());
  useEffect(() => {
    setLive(store.get());
    return store.subscribe(() => setLive(store.get()));
  }, [store]);
  return live;
}

/** Follows a batch while the caller is shown. */
export function useFollowedBatch(batchId: string): Live["batch"] {
  const store = useLiveStore();
  const { batch } = useLive();
  useLayoutEffect(() => {
    store.follow(batchId);
    return () => store.follow(undefined);
  }, [store, batchId]);
  return batch?.id === batchId ? batch : undefined;
}

/** How often a value has become another one, not counted that it became known. What depends on it need not wait for it. */
export function useChanges(value: string | undefined): number {
  const seen = useRef<{ value: string | undefined; count: number }>({ value, count: 0 });
  if (value !== undefined && value !== seen.current.value) {
    const count = seen.current.count + (seen.current.value === undefined ? 0 : 1);
    seen.current = { value, count };
  }
  return seen.current.count;
}

export interface Loaded<Value> {
  /** Undefined: not there yet. What was there stays while it is loaded again. */
  readonly value: Value | undefined;
  readonly error: CallError | undefined;
  reload(): void;
}

const retryMs = 3_000;

/**
 * Loads something, and again when what it depends on changes. What fails for a passing reason is tried again.
 * @param key what it depends on, as a text
 */
export function useLoaded<Value>(key: string, load: (signal: AbortSignal) => Promise<Value>): Loaded<Value> {
  const [round, setRound] = useState(0);
  const [state, setState] = useState<{
    readonly key: string;
    readonly value?: Value;
    readonly error?: CallError;
  }>({ key });
  const loader = useRef(load);
  loader.current = load;

  // Asked before the first picture of the page is drawn, and not after it.
  useLayoutEffect(() => {
    const stopped = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    loader.current(stopped.signal).then(
      (value) => {
        if (!stopped.signal.aborted) setState({ key, value });
        return undefined;
      },
      (error: unknown) => {
        if (stopped.signal.aborted) return;
        const known = error instanceof CallError ? error : new CallError(0, "unknown", "");
        setState((before) => ({ ...(before.key === key ? before : { key }), error: known }));
        if (known.isPassing) timer = setTimeout(() => setRound((count) => count + 1), retryMs);
      },
    );
    return () => {
      clearTimeout(timer);
      stopped.abort();
    };
  }, [key, round]);

  const reload = useCallback(() => setRound((count) => count + 1), []);
  const isOf = state.key === key;
  return { value: isOf ? state.value : undefined, error: isOf ? state.error : undefined, reload };
}
