import { isAvatarItem, type AvatarItem, type FeedItem } from "./feed-item.ts";
import type { EndpointSettings } from "./webhook-endpoint.ts";

type Wish = Pick<EndpointSettings, "types" | "instanceIds" | "includesFirstSeen">;

/**
 * The items of a part of the feed that an endpoint is told of, in their order. Of several changes of one contact it is the last one,
 * whose previous version is that of the first: what the endpoint was told before. The last one decides also where its type is
 * not wanted: a change that was undone since is not told.
 * @param endpointId is not told of itself
 */
export function selectItems(items: readonly FeedItem[], wish: Wish, endpointId: string): FeedItem[] {
  const seen = items.filter((item) => isOfInstance(item, wish) && !isUnwantedFirst(item, wish));
  return joinChanges(seen).filter(
    (item) =>
      wish.types.includes(item.type) &&
      !(item.type === "endpoint.disabled" && item.endpointId === endpointId),
  );
}

/** What is of no instance is for those who see all. */
function isOfInstance({ instanceId }: FeedItem, { instanceIds }: Wish): boolean {
  if (instanceIds === undefined) return true;
  return instanceId !== undefined && instanceIds.includes(instanceId);
}

/** The first picture of a contact is no change, unless it is asked for. */
function isUnwantedFirst(item: FeedItem, { includesFirstSeen }: Wish): boolean {
  return !includesFirstSeen && isAvatarItem(item) && item.isFirst;
}

function joinChanges(items: readonly FeedItem[]): FeedItem[] {
  const lastOf = new Map<number, number>();
  const firstOf = new Map<number, AvatarItem>();
  for (const item of items) {
    if (!isAvatarItem(item)) continue;
    lastOf.set(item.contactId, item.id);
    if (!firstOf.has(item.contactId)) firstOf.set(item.contactId, item);
  }
  return items.flatMap((item): FeedItem[] => {
    if (!isAvatarItem(item)) return [item];
    if (lastOf.get(item.contactId) !== item.id) return [];
    return [{ ...item, previousVersion: firstOf.get(item.contactId)?.previousVersion }];
  });
}
