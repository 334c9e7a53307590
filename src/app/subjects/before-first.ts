/**
 * Passes items on, and acts before the first of them, or before the end where there are none. A fault of the source shows
 * before anything is made for it. The source is closed also when the act fails.
 */
export async function* beforeFirst<Item>(
  items: AsyncIterable<Item>,
  act: () => Promise<void>,
): AsyncGenerator<Item> {
  let acted = false;
  for await (const item of items) {
    if (!acted) await act();
    acted = true;
    yield item;
  }
  if (!acted) await act();
}
