import { ApiProblem } from "./api-problem.ts";
import type { CallOptions, Timing } from "./call-options.ts";
import { parseEvents } from "./http/parse-events.ts";
import { readText } from "./read-answer.ts";
import { toRetryDelayMs } from "./http/retry-timing.ts";
import type { Send } from "./send.ts";
import type { Batch } from "./wire.ts";

export interface FollowOptions extends Pick<CallOptions, "signal"> {
  /** So long a server that is away is waited for, ms; 5 min by default. */
  readonly patienceMs?: number | undefined;
}

export const defaultPatienceMs = 300_000;
const defaultReconnectMs = 2_000;
/** The server says something every 15 s. */
const silenceMs = 45_000;

/** Where a watcher stands, across its connections. */
interface Watch {
  readonly id: string;
  readonly signal: AbortSignal | undefined;
  lastEventId: string;
  /** As the server said last. */
  reconnectMs: number;
  /** Connections in a row that told nothing. */
  failures: number;
  failingSince: number | undefined;
}

/**
 * Follows a batch to its end, through as many connections as it takes.
 * @throws ApiProblem, also when the server was away for longer than the patience; the reason of an aborted signal
 */
export async function* watchBatch(
  send: Send,
  timing: Timing,
  id: string,
  { signal, patienceMs = defaultPatienceMs }: FollowOptions,
): AsyncGenerator<Batch, void, undefined> {
  const watch: Watch = {
    id,
    signal,
    lastEventId: "",
    reconnectMs: defaultReconnectMs,
    failures: 0,
    failingSince: undefined,
  };
  for (;;) {
    let problem = new ApiProblem({
      status: 0,
      code: "no-answer",
      detail: "the events ended before the batch",
    });
    try {
      if (yield* connect(send, watch)) return;
    } catch (error) {
      if (!(error instanceof ApiProblem) || !error.retryable) throw error;
      problem = error;
    }
    watch.failures += 1;
    watch.failingSince ??= timing.now();
    const waitMs = toRetryDelayMs(watch.failures, problem.retryAfterMs, timing.random) ?? Infinity;
    const delayMs = watch.reconnectMs + waitMs;
    if (timing.now() - watch.failingSince + delayMs > patienceMs) throw problem;
    await timing.sleep(delayMs, signal);
    signal?.throwIfAborted();
  }
}

/** What one connection tells. Returns whether that was all. */
async function* connect(send: Send, watch: Watch): AsyncGenerator<Batch, boolean, undefined> {
  const { id, signal, lastEventId } = watch;
  const response = await send({
    operation: "watchBatch",
    path: { id },
    headers: lastEventId === "" ? {} : { "last-event-id": lastEventId },
    limits: "headers",
    read: (answer) => answer,
    options: { signal, maxRetries: 0 },
  });
  if (response.status === 204) return true;
  for await (const said of parseEvents(readText(response, silenceMs, signal))) {
    if (said.kind === "retry") {
      watch.reconnectMs = said.retryMs;
      continue;
    }
    watch.failures = 0;
    watch.failingSince = undefined;
    if (said.kind === "comment") continue;
    watch.lastEventId = said.id;
    yield JSON.parse(said.data) as Batch;
    if (said.event === "done") return true;
  }
  return false;
}
