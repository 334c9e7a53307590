import { setImmediate as nextTurn } from "node:timers/promises";

/** The slowest contact to read takes some 0.1 ms: after 10 ms other callers have their turn. */
const itemsPerTurn = 100;

export interface ItemsOfTurn<Item> {
  /** The index of the first of them. */
  readonly from: number;
  readonly items: readonly Item[];
}

/** All of `items`, in their order, a few at a time. The rest of the process has a turn behind each few. */
export async function* inTurns<Item>(items: readonly Item[]): AsyncGenerator<ItemsOfTurn<Item>> {
  for (let from = 0; from < items.length; from += itemsPerTurn) {
    yield { from, items: items.slice(from, from + itemsPerTurn) };
    await nextTurn();
  }
}

/** What `map` makes of each item, in their order, for bodies that are there already and take long. */
export async function mapInTurns<Item, Result>(
  items: readonly Item[],
  map: (item: Item, index: number) => Result,
): Promise<Result[]> {
  const results: Result[] = [];
  for await (const { items: some } of inTurns(items)) {
    for (const item of some) results.push(map(item, results.length));
  }
  return results;
}
