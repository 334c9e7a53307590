export interface SharedReadsOptions<Value> {
  /** Reading takes at most one part in so many of the time, for each key: what is slow is read less often. */
  readonly timeShare: number;
  /** A value is given again for so long at least, ms; without it what is quick is read each time. */
  readonly toFreshMs?: (value: Value) => number;
  /** Keys that are remembered; of more than these the oldest are forgotten. */
  readonly maxKeys: number;
  /** A monotonic clock, ms. */
  readonly now: () => number;
}

/**
 * Reads what is under the key, or gives what was read a moment ago. A caller who asks during a reading of the same key gets
 * its result, or its error. An error is not remembered.
 */
export type SharedReads<Value> = (key: string, read: () => Promise<Value>) => Promise<Value>;

interface Entry<Value> {
  readonly value: Promise<Value>;
  /** Undefined: it is being read. */
  freshUntil: number | undefined;
}

/** Makes a costly read one that may be asked for as often as its callers like, by several at once. */
export function createSharedReads<Value>({
  timeShare,
  toFreshMs = () => 0,
  maxKeys,
  now,
}: SharedReadsOptions<Value>): SharedReads<Value> {
  const entries = new Map<string, Entry<Value>>();

  function start(key: string, read: () => Promise<Value>): Promise<Value> {
    const startedAt = now();
    const value = read();
    const entry: Entry<Value> = { value, freshUntil: undefined };
    entries.delete(key);
    entries.set(key, entry);
    for (const oldest of entries.keys()) {
      if (entries.size <= maxKeys) break;
      entries.delete(oldest);
    }
    void settle(entry, startedAt, key);
    return value;
  }

  async function settle(entry: Entry<Value>, startedAt: number, key: string): Promise<void> {
    try {
      const freshMs = toFreshMs(await entry.value);
      entry.freshUntil = startedAt + Math.max(freshMs, timeShare * (now() - startedAt));
    } catch {
      if (entries.get(key) === entry) entries.delete(key);
    }
  }

  return async (key, read) => {
    const entry = entries.get(key);
    const isFresh = entry && (entry.freshUntil === undefined || now() < entry.freshUntil);
    return isFresh ? entry.value : start(key, read);
  };
}
