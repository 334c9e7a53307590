import { useEffect, useRef } from "preact/hooks";
import type { RefObject } from "preact";
import type { Pages } from "./use-pages.ts";

/** So far below what is seen the next page is asked for. */
const ahead = "800px";

/** Asks for the next page when the element that stands behind the list comes near. After an error it waits for a person. */
export function useEndless({
  isOver,
  isLoading,
  error,
  items,
  loadMore,
}: Pages<unknown>): RefObject<HTMLDivElement | null> {
  const end = useRef<HTMLDivElement>(null);
  const load = useRef(loadMore);
  load.current = loadMore;
  const isWaiting = !isOver && !isLoading && error === undefined && items.length > 0;
  useEffect(() => {
    const element = end.current;
    if (!isWaiting || !element) return undefined;
    // A new one for each page: it tells at once whether the end is still near.
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) load.current();
      },
      { rootMargin: ahead },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [isWaiting, items.length]);
  return end;
}
