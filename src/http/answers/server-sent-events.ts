export interface ServerSentEvent {
  /** A line, which comes back as `Last-Event-ID`. */
  readonly id: string;
  readonly event: string;
  /** A line. */
  readonly data: string;
}

/** The hint when to come again after the stream breaks, ms. */
const retryMs = 2_000;
/** Proxies close connections on which nothing comes. */
const heartbeatMs = 15_000;

/**
 * The text of `text/event-stream`: a hint when to come again, then the events, with a comment after each silence. The hint
 * comes again at the end, for the readers of a server that stops.
 * @param isAllowed asked before each of them: a stream may live longer than the right to read it
 */
export async function* streamEvents(
  events: AsyncIterable<ServerSentEvent>,
  isAllowed: () => Promise<boolean>,
): AsyncGenerator<string> {
  const hint = `retry: ${retryMs}\n\n`;
  yield hint;
  const iterator = events[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    for (;;) {
      const result = await orHeartbeat(next);
      if (!(await isAllowed())) break;
      if (result === undefined) {
        yield ": still here\n\n";
        continue;
      }
      if (result.done) break;
      const { id, event, data } = result.value;
      yield `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`;
      next = iterator.next();
    }
    yield hint;
  } finally {
    await iterator.return?.();
  }
}

/** The value, or undefined when it has not come for a while. */
async function orHeartbeat<Value>(next: Promise<Value>): Promise<Value | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const heartbeat = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, heartbeatMs, undefined);
  });
  try {
    return await Promise.race([next, heartbeat]);
  } finally {
    clearTimeout(timer);
  }
}
