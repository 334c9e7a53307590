import type { FeedPage } from "../domain/webhooks/feed-item.ts";

export type ReadFeed = (after: number, until: number, limit: number) => Promise<FeedPage>;

/** Lanes that have read all are at the same place: what one has read of the feed the others need not read again. */
const sharedMs = 500;
const mostPages = 16;

/** Shares parts of the feed among callers that ask for the same within half a second. Those that failed are not shared on. */
export function createFeedCache(readFeed: ReadFeed, clock: { now(): number }): ReadFeed {
  const pages = new Map<string, { readonly page: Promise<FeedPage>; readonly at: number }>();
  return (after, until, limit) => {
    const key = `${after} ${until} ${limit}`;
    const known = pages.get(key);
    if (known !== undefined && clock.now() - known.at < sharedMs) return known.page;
    const page = readFeed(after, until, limit);
    pages.delete(key);
    pages.set(key, { page, at: clock.now() });
    page.catch(() => pages.delete(key));
    for (const oldest of pages.keys()) {
      if (pages.size <= mostPages) break;
      pages.delete(oldest);
    }
    return page;
  };
}
