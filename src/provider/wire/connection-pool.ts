import type { TimerWheel } from "../../lib/timer-wheel.ts";
import type { Exchange } from "./exchange.ts";
import { type ConnectionPorts, HttpConnection } from "./http-connection.ts";
import { createSocketOpener } from "./open-socket.ts";

/** Connections to one origin, each with one exchange at a time. The choice among them costs the same however many there are. */
export interface ConnectionPool {
  readonly closed: boolean;
  send(exchange: Exchange): void;
  /** Waits for the exchanges that were sent. */
  close(): Promise<void>;
}

export interface ConnectionOptions {
  /** An exchange beyond them waits. Unless told there is no limit: there are as many as there were exchanges at a time. */
  readonly maxConnections?: number | undefined;
  /** Of one reply; no limit unless told. */
  readonly maxBodyBytes?: number | undefined;
}

/** What all connections of a process share. */
export interface SharedByConnections {
  readonly rests: TimerWheel<HttpConnection>;
  readonly readBuffer: Uint8Array;
}

/** Does no I/O: connections open with the first exchanges. */
export function createConnectionPool(
  origin: string,
  options: ConnectionOptions,
  shared: SharedByConnections,
): ConnectionPool {
  const { maxConnections = Number.POSITIVE_INFINITY, maxBodyBytes = Number.POSITIVE_INFINITY } = options;
  const all = new Set<HttpConnection>();
  /** The last one used comes first: the others have their rest, and close after it. */
  const free: HttpConnection[] = [];
  const waiting: Exchange[] = [];
  let willSend = false;
  let closed = false;
  let onSettled: (() => void) | undefined;

  const ports: ConnectionPorts = {
    opener: createSocketOpener(origin, shared.readBuffer),
    rests: shared.rests,
    maxBodyBytes,
    onFree(connection) {
      free.push(connection);
      if (waiting.length > 0) sendSoon();
      else settle();
    },
    onClosed(connection) {
      all.delete(connection);
      const at = free.indexOf(connection);
      if (at >= 0) free.splice(at, 1);
      if (waiting.length > 0) sendSoon();
      else settle();
    },
  };

  /** What has come or ended on connections at rest is read before they are used: a request is not lost on them. */
  function sendSoon(): void {
    if (willSend) return;
    willSend = true;
    setImmediate(sendWaiting);
  }

  function sendWaiting(): void {
    willSend = false;
    const exchanges = waiting.splice(0);
    for (const [index, exchange] of exchanges.entries()) {
      if (exchange.isOver) continue;
      if (!send(exchange)) {
        waiting.unshift(...exchanges.slice(index).filter(({ isOver }) => !isOver));
        break;
      }
    }
    settle();
  }

  /** False: there is no connection for it. */
  function send(exchange: Exchange): boolean {
    let connection = free.pop();
    while (connection && !connection.isUsable) connection = free.pop();
    if (connection) connection.start(exchange);
    else if (all.size >= maxConnections) return false;
    else all.add(new HttpConnection(ports, exchange));
    return true;
  }

  function settle(): void {
    if (!closed || waiting.length > 0) return;
    for (const connection of all) connection.close();
    if (all.size === 0) onSettled?.();
  }

  return {
    get closed() {
      return closed;
    },
    send(exchange) {
      waiting.push(exchange);
      sendSoon();
    },
    close() {
      closed = true;
      return new Promise((resolve) => {
        onSettled = resolve;
        settle();
      });
    },
  };
}
