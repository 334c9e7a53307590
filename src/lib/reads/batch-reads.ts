/** Reads one value by its key, together with those that are asked for at the same time. Undefined: there is none. */
export type BatchedRead<Key, Value> = (key: Key) => Promise<Value | undefined>;

/**
 * Makes single reads of reads of many: what is asked for within one turn of the event loop is one read. Nothing is kept beyond it,
 * so that no answer is old.
 * @param readMany the values that there are, by key
 * @param mostAtOnce keys of one read
 */
export function batchReads<Key, Value>(
  readMany: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Value>>,
  mostAtOnce: number,
): BatchedRead<Key, Value> {
  let waiting: { readonly keys: Set<Key>; readonly values: Promise<ReadonlyMap<Key, Value>> } | undefined;

  function open() {
    const keys = new Set<Key>();
    const values = new Promise<void>((resolve) => void setImmediate(resolve)).then(async () => {
      if (waiting?.keys === keys) waiting = undefined;
      return readMany([...keys]);
    });
    return { keys, values };
  }

  return async (key) => {
    if (waiting === undefined || waiting.keys.size >= mostAtOnce) waiting = open();
    waiting.keys.add(key);
    return (await waiting.values).get(key);
  };
}
