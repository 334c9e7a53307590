import { ApiProblem, readProblem } from "./api-problem.ts";
import { buildUrl, parseBaseUrl, type PathValues, type QueryValues } from "./http/build-url.ts";
import type { CallOptions, ClientOptions, Timing } from "./call-options.ts";
import { joinSignals } from "./http/join-signals.ts";
import { operations, type OperationId } from "./http/operations.ts";
import { toRetryDelayMs } from "./http/retry-timing.ts";

/** A body for one try. */
export interface OutgoingBody {
  readonly content: string | ReadableStream<Uint8Array>;
  readonly type: string;
  /** What the caller's own stream has failed with, which is no fault of the connection. */
  readonly findFailure?: () => { readonly error: unknown } | undefined;
  /** Closes the caller's own stream, which fetch leaves open when the answer comes before its end. Never fails. */
  readonly close?: () => void;
}

export interface Call<Result> {
  readonly operation: OperationId;
  readonly path?: PathValues;
  readonly query?: QueryValues;
  readonly headers?: Readonly<Record<string, string>>;
  /** Makes the body anew for each try. */
  readonly body?: () => OutgoingBody;
  /** False: the body cannot be made twice. */
  readonly isRepeatable?: boolean;
  /** `whole`: to the end of the answer. `headers`: to its beginning. `none`: a stream goes out first, for as long as it takes. */
  readonly limits?: "whole" | "headers" | "none";
  /** The server waits so long by itself, ms. */
  readonly extraMs?: number;
  /** A status that is read as an answer, beside 2xx. */
  readonly expects?: number;
  readonly read: (response: Response) => Promise<Result> | Result;
  /** What 404 means after a try without an answer: it had been done. */
  readonly readMissing?: () => Result;
  readonly options?: CallOptions | undefined;
}

/** @throws ApiProblem, the reason of an aborted signal, or what the caller's own stream fails with */
export type Send = <Result>(call: Call<Result>) => Promise<Result>;

/** How often and how long a call is tried. */
interface Plan {
  readonly url: string;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  readonly totalTimeoutMs: number;
  readonly maxRetries: number;
}

const defaultLimits = { timeoutMs: 30_000, totalTimeoutMs: 120_000 };
const noLimits = { timeoutMs: Infinity, totalTimeoutMs: Infinity };
const defaultMaxRetries = 5;
/** Timers that are longer would end at once. */
const maxTimerMs = 2 ** 31 - 1;

/** Where calls go, and with which key. */
interface Target {
  readonly base: string;
  readonly apiKey: string;
  readonly client: ClientOptions;
}

/**
 * Makes what sends requests, and sends those again that failed for a while.
 * @throws TypeError for options that cannot be used
 */
export function createSend(client: ClientOptions, timing: Timing): Send {
  const base = parseBaseUrl(client.baseUrl);
  const { apiKey } = client;
  // What cannot be a header would be named by fetch, in its error.
  if (typeof apiKey !== "string" || !/^[!-~]+$/.test(apiKey)) {
    throw new TypeError("apiKey: expected avk_… as it was printed, without blanks");
  }
  const target: Target = { base, apiKey, client };

  return async (call) => {
    const plan = planCall(target, call);
    const { signal, maxRetries } = plan;
    const giveUpAt = timing.now() + plan.totalTimeoutMs;
    let isUnsure = false;
    for (let failures = 1; ; failures += 1) {
      signal?.throwIfAborted();
      const limitMs = Math.min(plan.timeoutMs, giveUpAt - timing.now());
      const result = await attempt(target, call, plan, limitMs);
      if (!(result instanceof ApiProblem)) return result.value;
      if (result.status === 404 && isUnsure && call.readMissing) return call.readMissing();
      isUnsure ||= result.status === 0 || result.status >= 500;

      if (failures > maxRetries || !mayRepeat(call, result)) throw result;
      const delayMs = toRetryDelayMs(failures, result.retryAfterMs, timing.random);
      if (delayMs === undefined || timing.now() + delayMs >= giveUpAt) throw result;
      await timing.sleep(delayMs, signal);
    }
  };
}

function planCall({ base, client }: Target, call: Call<unknown>): Plan {
  const { extraMs = 0, options = {}, limits = "whole" } = call;
  const given = limits === "none" ? [noLimits, options] : [defaultLimits, client, options];
  const pick = (name: "timeoutMs" | "totalTimeoutMs") =>
    (given.findLast((limits) => limits[name] !== undefined)?.[name] ?? Infinity) + extraMs;
  return {
    url: buildUrl(base, call.operation, call.path, call.query),
    signal: joinSignals(client.signal, options.signal),
    timeoutMs: pick("timeoutMs"),
    totalTimeoutMs: pick("totalTimeoutMs"),
    maxRetries: options.maxRetries ?? client.maxRetries ?? defaultMaxRetries,
  };
}

/** One try. @throws the reason of an aborted signal, or what the caller's own stream fails with */
async function attempt<Result>(
  target: Target,
  call: Call<Result>,
  { url, signal }: Plan,
  limitMs: number,
): Promise<ApiProblem | { readonly value: Result }> {
  const timeout = new AbortController();
  const timer = limitMs <= maxTimerMs ? setTimeout(() => timeout.abort(), limitMs) : undefined;
  const body = call.body?.();
  const init = { ...toInit(target, call, body), signal: joinSignals(signal, timeout.signal) ?? null };
  try {
    return await exchange(target, call, url, init, () => clearTimeout(timer));
  } catch (error) {
    if (error instanceof ApiProblem) return error;
    signal?.throwIfAborted();
    const failure = body?.findFailure?.();
    if (failure) throw failure.error;
    return timeout.signal.aborted ? toTimedOut() : toNoAnswer(target, error);
  } finally {
    clearTimeout(timer);
    body?.close?.();
  }
}

async function exchange<Result>(
  { apiKey, client }: Target,
  call: Call<Result>,
  url: string,
  init: RequestInit,
  begun: () => void,
): Promise<ApiProblem | { readonly value: Result }> {
  const fetch = client.fetch ?? globalThis.fetch;
  const response = await fetch(url, init);
  const isExpected = response.ok || response.status === call.expects;
  const hide = (text: string) => text.replaceAll(apiKey, "[the API key]");
  if (!isExpected) return readProblem(response, hide, Date.now());
  if (call.limits === "headers") begun();
  return { value: await call.read(response) };
}

function toInit(
  { apiKey }: Target,
  { operation, headers }: Call<unknown>,
  body: OutgoingBody | undefined,
): RequestInit {
  return {
    method: operations[operation].method,
    headers: {
      ...headers,
      accept: "application/json, application/problem+json, */*;q=0.5",
      authorization: `Bearer ${apiKey}`,
      ...(body && { "content-type": body.type }),
    },
    // A request that is sent elsewhere is another one.
    redirect: "manual",
    ...(body && { body: body.content }),
    // Without it a stream is not accepted: the answer comes after it.
    ...(typeof body?.content === "object" && { duplex: "half" as const }),
  };
}

function toNoAnswer({ base, apiKey }: Target, cause: unknown): ApiProblem {
  const code = findCode(cause);
  const why = code === undefined ? "" : `: ${code}`;
  const detail = `no connection to ${new URL(base).host}, or it broke${why}`;
  const isClean = !mentions(cause, apiKey);
  return new ApiProblem({ status: 0, code: "no-answer", detail, ...(isClean && { cause }) });
}

function mayRepeat({ operation, isRepeatable = true }: Call<unknown>, problem: ApiProblem): boolean {
  if (!isRepeatable || !problem.retryable) return false;
  // 429 is told before anything is done.
  return operations[operation].isRepeatable || problem.status === 429;
}

function toTimedOut(): ApiProblem {
  return new ApiProblem({ status: 0, code: "timed-out", detail: "there was no answer in time" });
}

/** The error and what caused it, one by one. */
function* listCauses(error: unknown): Generator<Error> {
  for (let at = error; at instanceof Error; at = at.cause) yield at;
}

/** `ECONNREFUSED` and the like, of the error or of what caused it. */
function findCode(error: unknown): string | undefined {
  for (const at of listCauses(error)) {
    if ("code" in at && typeof at.code === "string" && /^[A-Z_]{2,40}$/.test(at.code)) return at.code;
  }
  return undefined;
}

function mentions(error: unknown, secret: string): boolean {
  if (!(error instanceof Error)) return true;
  return [...listCauses(error)].some(({ message, stack }) => `${message} ${stack}`.includes(secret));
}
