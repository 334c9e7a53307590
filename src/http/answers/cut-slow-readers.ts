import type { Socket } from "node:net";

/** Averaged over each span: a byte now and then is no reading. */
export interface ReadingPace {
  readonly spanMs: number;
  readonly leastBytesPerSecond: number;
}

/** Looks in each span. A reader is slow only where something waits on its connection at each look. */
const looksPerSpan = 4;

/** Since when something waits on a connection, and how much had been read by then. */
interface Backlog {
  readonly taken: number;
  looks: number;
}

/**
 * Cuts the connections whose reader takes a waiting answer too slowly. The answer holds memory here, or a place and a
 * transaction. Connections on which nothing waits are left alone, whatever their pace. Returns what ends it.
 */
export function cutSlowReaders(
  sockets: Iterable<Socket>,
  { spanMs, leastBytesPerSecond }: ReadingPace,
): () => void {
  const backlogs = new WeakMap<Socket, Backlog>();
  const leastBytes = (leastBytesPerSecond * spanMs) / 1000;

  function look(socket: Socket): void {
    if (socket.writableLength === 0) return void backlogs.delete(socket);
    // The bytes that the system has taken over: the rest is counted as written too.
    const taken = socket.bytesWritten - socket.writableLength;
    const backlog = backlogs.get(socket);
    if (backlog === undefined) return void backlogs.set(socket, { taken, looks: 0 });
    backlog.looks += 1;
    if (backlog.looks < looksPerSpan) return;
    if (taken - backlog.taken < leastBytes) socket.destroy();
    else backlogs.set(socket, { taken, looks: 0 });
  }

  const timer = setInterval(() => {
    for (const socket of sockets) look(socket);
  }, spanMs / looksPerSpan);
  timer.unref();
  return () => clearInterval(timer);
}
