/** An event that happens again and again. */
export interface RecurringEvent {
  /** The event happens now: wakes all that wait. */
  fire(): void;
  /** Resolves when the event happens the next time. */
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
