import { createTimerWheel } from "../../lib/timer-wheel.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import { Exchange, notSent } from "./exchange.ts";
import type { ExchangeEnd, ExchangeOptions, ExchangeRequest } from "./exchange.ts";

/** Requests in flight, with one timer and one listener for all. */
export interface Exchanges {
  /** Sends one request and collects its reply; never rejects. Redirects are not followed: they would take the token along. */
  send(pool: ConnectionPool, request: ExchangeRequest, options: ExchangeOptions): Promise<ExchangeEnd>;
}

export function createExchanges(): Exchanges {
  const deadlines = createTimerWheel<Exchange>();
  const watched = new WeakSet<AbortSignal>();

  /** A signal has one listener, however many exchanges it stops; it goes with the signal. */
  function watch(signal: AbortSignal): void {
    if (watched.has(signal)) return;
    watched.add(signal);
    const stopAll = (): void => {
      for (const exchange of deadlines.list()) if (exchange.signal === signal) exchange.stop();
    };
    signal.addEventListener("abort", stopAll, { once: true });
  }

  return {
    send(pool, request, options) {
      const { signal, timeoutMs } = options;
      if (signal?.aborted) return Promise.resolve(notSent);
      if (signal) watch(signal);
      return new Promise((resolve) => {
        const exchange = new Exchange(request, options, (ended, end) => {
          deadlines.stop(ended);
          resolve(end);
        });
        deadlines.start(exchange, timeoutMs);
        pool.send(exchange);
      });
    },
  };
}
