import { setImmediate as nextTurn } from "node:timers/promises";

/** The slowest contact to read takes some 0.1 ms: so many are 10 ms, and what another caller waits for comes in between. */
const itemsPerTurn = 100;

export interface ItemsOfTurn<Item> {
  /** The index of the first of them. */
  readonly from: number;
  readonly items: readonly Item[];
}

/** All of `items`, in their order, a few at a time; behind each few the rest of the process has a turn. */
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
