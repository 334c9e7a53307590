/**
 * Takes the first item now, and gives it again with the rest: what is wrong with a source shows before anything is made
 * for it. Nothing is read ahead otherwise.
 */
export async function takeFirst<Item>(items: AsyncIterable<Item>): Promise<AsyncIterable<Item>> {
  const iterator = items[Symbol.asyncIterator]();
  const first = await iterator.next();
  return giveAll(first, iterator);
}

async function* giveAll<Item>(
  first: IteratorResult<Item>,
  iterator: AsyncIterator<Item>,
): AsyncGenerator<Item> {
  try {
    if (first.done === true) return;
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  } finally {
    await iterator.return?.();
  }
}
