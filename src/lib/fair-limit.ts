import { LockedError } from "./errors.ts";

/** Lets work run side by side, within a limit per key and one for all. A slow key does not take all places. */
export interface FairLimit {
  /**
   * Runs the work when there is a place; in the order of asking among those whose key has one.
   * @throws LockedError before the work begins, when there is no place in time, or too many of the key wait
   */
  run<Result>(key: string, work: () => Promise<Result>): Promise<Result>;
}

export interface FairLimits {
  readonly perKey: number;
  readonly all: number;
  /** For each key. */
  readonly mostWaiting: number;
  readonly waitMs: number;
}

interface Waiter {
  readonly key: string;
  readonly start: () => void;
}

export function createFairLimit({ perKey, all, mostWaiting, waitMs }: FairLimits): FairLimit {
  const running = new Map<string, number>();
  const waiting = new Set<Waiter>();
  let total = 0;

  const hasPlace = (key: string) => total < all && (running.get(key) ?? 0) < perKey;

  function enter(key: string): void {
    total += 1;
    running.set(key, (running.get(key) ?? 0) + 1);
  }

  function leave(key: string): void {
    total -= 1;
    const left = (running.get(key) ?? 1) - 1;
    if (left > 0) running.set(key, left);
    else running.delete(key);
    for (const waiter of waiting) {
      if (total >= all) return;
      if (hasPlace(waiter.key)) waiter.start();
    }
  }

  async function waitForPlace(key: string): Promise<void> {
    const ofKey = [...waiting].filter((waiter) => waiter.key === key);
    if (ofKey.length >= mostWaiting) throw new LockedError();
    await new Promise<void>((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        waiting.delete(waiter);
      };
      const start = () => {
        end();
        enter(key);
        resolve();
      };
      const waiter: Waiter = { key, start };
      const timer = setTimeout(() => {
        end();
        reject(new LockedError());
      }, waitMs);
      waiting.add(waiter);
    });
  }

  return {
    async run(key, work) {
      if (hasPlace(key)) enter(key);
      else await waitForPlace(key);
      try {
        return await work();
      } finally {
        leave(key);
      }
    },
  };
}
