/** A key of the API, or another secret that is found by an id. */
export interface Identified {
  readonly id: string;
}

/** The ids that one question looks up at most. */
const maxIds = 1_000;
/** The questions at a time: one that hangs holds up no others. Keys, sessions and hooks together leave four of ten connections. */
const maxQuestions = 2;

interface Asked<Key> {
  readonly resolve: (key: Key | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Looks keys up with a few questions at a time, which all requests that wait meanwhile share. Made-up keys, whatever their
 * number, cost these connections and no more. A good key waits for no more than a question before its own.
 * @returns finds one key; undefined: there is none with this id
 */
export function createFindKey<Key extends Identified>(
  findKeys: (ids: readonly string[]) => Promise<readonly Key[]>,
): (id: string) => Promise<Key | undefined> {
  const waiting = new Map<string, Asked<Key>[]>();
  let asking = 0;

  async function ask(): Promise<void> {
    asking += 1;
    while (waiting.size > 0) {
      const asked = takeFirst(waiting, maxIds);
      try {
        const keys = await findKeys(asked.map(([id]) => id));
        const byId = new Map(keys.map((key) => [key.id, key]));
        for (const [id, all] of asked) for (const { resolve } of all) resolve(byId.get(id));
      } catch (error) {
        for (const [, all] of asked) for (const { reject } of all) reject(error);
      }
    }
    asking -= 1;
  }

  return (id) =>
    new Promise((resolve, reject) => {
      const known = waiting.get(id);
      if (known) known.push({ resolve, reject });
      else waiting.set(id, [{ resolve, reject }]);
      if (asking < maxQuestions) void ask();
    });
}

/** Takes the oldest out. */
function takeFirst<Value>(all: Map<string, Value>, count: number): [string, Value][] {
  const taken: [string, Value][] = [];
  for (const entry of all) {
    if (taken.length === count) break;
    taken.push(entry);
    all.delete(entry[0]);
  }
  return taken;
}
