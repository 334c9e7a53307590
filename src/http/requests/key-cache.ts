import { createFindKey, type Identified } from "./find-keys.ts";

/** A key that is revoked, or changed, is so here within this time. */
const cacheMs = 5_000;
/** Ids of which it is remembered that there is no such key. Those of keys are as many as there are keys. */
const maxAbsent = 2_000;

interface CachedKey<Key> {
  readonly until: number;
  readonly key: Key | undefined;
}

/**
 * Remembers keys for some seconds, also that there is none: made-up ones push no good one out.
 * @param now ms since 1970
 */
export function createKeyCache<Key extends Identified>(
  findMany: (ids: readonly string[]) => Promise<readonly Key[]>,
  now: () => number,
) {
  const present = new Map<string, CachedKey<Key>>();
  const absent = new Map<string, CachedKey<Key>>();
  const findKey = createFindKey(findMany);
  return {
    async find(id: string): Promise<Key | undefined> {
      const known = present.get(id) ?? absent.get(id);
      if (known && known.until > now()) return known.key;
      const until = now() + cacheMs;
      const key = await findKey(id);
      // The entry is made anew, so that the oldest stays first.
      present.delete(id);
      absent.delete(id);
      (key ? present : absent).set(id, { until, key });
      const [oldest] = absent.keys();
      if (absent.size > maxAbsent && oldest !== undefined) absent.delete(oldest);
      return key;
    },
  };
}
