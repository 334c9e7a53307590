import { sleep } from "../../lib/deadline.ts";
import type { RefreshTicket } from "../../domain/requests/refresh-ticket.ts";

export interface AnswerPollerOptions {
  /** Finds those of the batches that need not be waited for any longer. It may fail: it is asked again. */
  readonly findAnswered: (tickets: readonly RefreshTicket[]) => Promise<readonly string[]>;
  /** The time between one question and the next. Default: 50. */
  readonly intervalMs?: number;
}

export interface AnswerPoller {
  /** True as soon as the refresh is answered or has failed for good; false when the signal is aborted before. Never rejects. */
  whenAnswered(ticket: RefreshTicket, signal: AbortSignal): Promise<boolean>;
}

interface Waiter {
  readonly ticket: RefreshTicket;
  readonly settle: (isAnswered: boolean) => void;
}

/** Waits for the answers to refreshes. All that wait share one question every 50 ms; while none waits none is asked. */
export function createAnswerPoller({ findAnswered, intervalMs = 50 }: AnswerPollerOptions): AnswerPoller {
  const waiters = new Set<Waiter>();
  let isPolling = false;

  async function poll(): Promise<void> {
    while (waiters.size > 0) {
      await sleep(intervalMs);
      await tellAnswered([...waiters]);
    }
    isPolling = false;
  }

  async function tellAnswered(asking: readonly Waiter[]): Promise<void> {
    if (asking.length === 0) return;
    try {
      const answered = new Set(await findAnswered(asking.map(({ ticket }) => ticket)));
      for (const { ticket, settle } of asking) if (answered.has(ticket.batchId)) settle(true);
    } catch {
      // Postgres is slow or away. A refresh waits on, until its own time is up.
    }
  }

  return {
    async whenAnswered(ticket, signal) {
      if (signal.aborted) return false;
      return new Promise((resolve) => {
        const giveUp = () => settle(false);
        const settle = (isAnswered: boolean) => {
          waiters.delete(waiter);
          signal.removeEventListener("abort", giveUp);
          resolve(isAnswered);
        };
        const waiter: Waiter = { ticket, settle };
        waiters.add(waiter);
        signal.addEventListener("abort", giveUp, { once: true });
        if (isPolling) return;
        isPolling = true;
        void poll();
      });
    },
  };
}
