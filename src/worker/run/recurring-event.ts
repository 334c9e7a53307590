/** An event that happens again and again. */
export interface RecurringEvent {
  /** It happens now: wakes all that wait. */
  fire(): void;
  /** Resolves when it happens the next time. */
  next(): Promise<void>;
}

export function createRecurringEvent(): RecurringEvent {
  let waiting: (() => void)[] = [];
  return {
    fire() {
      const woken = waiting;
      waiting = [];
      for (const wake of woken) wake();
    },
    next: () => new Promise<void>((resolve) => waiting.push(resolve)),
  };
}
