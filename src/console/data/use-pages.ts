import { useCallback, useLayoutEffect, useRef, useState } from "preact/hooks";
import { CallError } from "./api.ts";

/** A page of a list, and where the next one begins; null: it was the last one. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

export interface Pages<Item> {
  readonly items: readonly Item[];
  readonly error: CallError | undefined;
  readonly isLoading: boolean;
  readonly isOver: boolean;
  loadMore(): void;
  /** Begins again. */
  reload(): void;
}

interface State<Item> {
  readonly key: string;
  readonly items: readonly Item[];
  /** Undefined: from the beginning. */
  readonly cursor: string | null | undefined;
  readonly error?: CallError;
}

/** An empty page need not be the last: so many are asked for in a row without being told to. */
const mostEmpty = 20;
const retryMs = 3_000;

/**
 * Loads a list page by page. What fails for a passing reason is tried again.
 * @param key what it depends on, as a text: with another one it begins again
 */
export function usePages<Item>(
  key: string,
  load: (cursor: string | undefined, signal: AbortSignal) => Promise<Page<Item>>,
): Pages<Item> {
  const [round, setRound] = useState(0);
  const [state, setState] = useState<State<Item>>({ key: "", items: [], cursor: undefined });
  const [isLoading, setIsLoading] = useState(false);
  const loader = useRef(load);
  loader.current = load;
  const running = useRef<AbortController | undefined>(undefined);
  const retry = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const latest = useRef<() => Promise<void>>(async () => undefined);
  const full = `${key} ${round}`;
  const current: State<Item> = state.key === full ? state : { key: full, items: [], cursor: undefined };

  const loadMore = useCallback(async () => {
    if (running.current || current.cursor === null) return;
    const stopped = new AbortController();
    running.current = stopped;
    setIsLoading(true);
    try {
      let cursor: string | null | undefined = current.cursor;
      let found: readonly Item[] = [];
      for (let empty = 0; cursor !== null && found.length === 0 && empty < mostEmpty; empty += 1) {
        const page = await loader.current(cursor ?? undefined, stopped.signal);
        found = page.items;
        cursor = page.next;
      }
      if (!stopped.signal.aborted) setState({ key: full, items: [...current.items, ...found], cursor });
    } catch (cause) {
      if (!stopped.signal.aborted) {
        const error = cause instanceof CallError ? cause : new CallError(0, "unknown", "");
        setState({ ...current, error });
        if (error.isPassing) retry.current = setTimeout(() => void latest.current(), retryMs);
      }
    } finally {
      if (running.current === stopped) {
        running.current = undefined;
        setIsLoading(false);
      }
    }
  }, [full, current.cursor, current.items]);

  latest.current = loadMore;
  // Asked before the first picture of the page is drawn, and not after it.
  useLayoutEffect(() => {
    void latest.current();
    return () => {
      clearTimeout(retry.current);
      running.current?.abort();
      running.current = undefined;
    };
  }, [full]);

  return {
    items: current.items,
    error: current.error,
    isLoading,
    isOver: current.cursor === null,
    loadMore: () => void loadMore(),
    reload: useCallback(() => setRound((count) => count + 1), []),
  };
}
