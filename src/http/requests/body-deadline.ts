import type { FastifyReply, FastifyRequest, preParsingAsyncHookHandler } from "fastify";
import { PassThrough, type Readable } from "node:stream";
import { takesBody } from "./body-parsers.ts";
import { createPlaces, type Places } from "./places.ts";
import { ApiError } from "../answers/problem.ts";
import { SenderGone } from "./sender-gone.ts";
import { whenClosed } from "./when-closed.ts";

export interface BodyDeadlines {
  /** A body that is read as a whole must be here within this time, ms. */
  readonly wholeMs: number;
  /** The span of a stream, ms, each of which must bring {@link leastBytesPerSecond}. */
  readonly idleMs: number;
  readonly leastBytesPerSecond: number;
}

export interface BodyLimits extends BodyDeadlines {
  /** A JSON body may have so many bytes. */
  readonly maxBodyBytes: number;
}

/** The largest JSON bodies that are held at once: in the process, and for each key, or hook of an instance. */
const largestAtOnce = { total: 8, perKey: 2 };

/**
 * Limits the cost of bodies. Gives up on slow senders, since a request in pieces would hold its place for ever. Takes no more
 * bytes into memory at once than there is room for.
 */
export function createBodyDeadline(limits: BodyLimits): preParsingAsyncHookHandler {
  const { maxBodyBytes } = limits;
  const memory = createPlaces({
    total: largestAtOnce.total * maxBodyBytes,
    perKey: largestAtOnce.perKey * maxBodyBytes,
    what: "bytes of JSON bodies",
  });
  return async (request, reply, payload) => {
    const isStream = request.routeOptions.config.streams === true && !isJson(request.headers["content-type"]);
    // The sender left while its key was looked up: that is not told a second time.
    if (request.raw.destroyed && !request.raw.readableEnded) throw new SenderGone();
    if (request.raw.readableEnded || !hasBody(request.headers) || !takesBody(request)) return payload;
    const limited = new PassThrough();
    // A request that is refused before its body is read has no other listener, and would end the process.
    limited.on("error", () => undefined);
    const refuse = (error: ApiError) =>
      void limited.destroy(Object.assign(error, { statusCode: error.status }));
    const source = payload as Readable;
    const stop = isStream ? limitPace(source, limited, limits, refuse) : limitWhole(limits.wholeMs, refuse);
    source.once("end", stop).once("error", stop).once("close", stop);
    limited.once("close", stop);
    source.on("error", (cause) => limited.destroy(new SenderGone(cause)));
    source.once("close", () => {
      // The sender went away in the middle: what reads must not wait for the rest.
      if (!source.readableEnded) limited.destroy(new SenderGone());
    });
    if (!isStream) takeMemory(memory, { request, reply, source, refuse });
    return source.pipe(limited);
  };
}

function limitWhole(wholeMs: number, refuse: (error: ApiError) => void): () => void {
  const giveUp = () =>
    refuse(new ApiError("request-timeout", `the body took longer than ${wholeMs / 1000} s`));
  const timer = setTimeout(giveUp, wholeMs);
  return () => clearTimeout(timer);
}

/** A byte now and then is no sign of life: a stream has a place that others wait for. */
function limitPace(
  source: Readable,
  limited: PassThrough,
  { idleMs, leastBytesPerSecond }: BodyDeadlines,
  refuse: (error: ApiError) => void,
): () => void {
  const seconds = idleMs / 1000;
  let came = 0;
  const count = (chunk: Buffer | string) => {
    came += chunk.length;
  };
  source.on("data", count);
  const timer = setInterval(() => {
    // The stream may wait for us: then it is we who do not read on.
    const isSlow = (came === 0 || came < seconds * leastBytesPerSecond) && !limited.writableNeedDrain;
    const what = came === 0 ? "nothing" : `less than ${leastBytesPerSecond} bytes a second`;
    came = 0;
    if (isSlow) refuse(new ApiError("request-timeout", `${what} came for ${seconds} s`));
  }, idleMs);
  return () => {
    clearInterval(timer);
    source.off("data", count);
  };
}

interface WholeBody {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly source: Readable;
  readonly refuse: (error: ApiError) => void;
}

/**
 * Takes room for a body that is held as a whole, until its request is answered. It takes as much as the body says it has, or
 * as comes.
 * @throws ApiError where there is no room
 */
function takeMemory(memory: Places, { request, reply, source, refuse }: WholeBody): void {
  const keyId = request.apiKey?.id ?? (request.hookOf === undefined ? "" : `hook ${request.hookOf}`);
  const length = request.headers["content-length"];
  const { bodyLimit } = request.routeOptions;
  if (length !== undefined) {
    // A longer body is refused before it is read: nothing of it is held, however long the rest of it comes.
    if (Number(length) <= bodyLimit) whenClosed(reply.raw, memory.take(keyId, Number(length)));
    return;
  }
  const releases: (() => void)[] = [];
  // Here a longer body is refused as soon as it is one.
  let left = bodyLimit;
  const take = (chunk: Buffer) => {
    const count = Math.min(chunk.length, left);
    left -= count;
    try {
      releases.push(memory.take(keyId, count));
    } catch (error) {
      source.off("data", take);
      refuse(error as ApiError);
    }
  };
  source.on("data", take);
  whenClosed(reply.raw, () => {
    source.off("data", take);
    for (const release of releases) release();
  });
}

function hasBody(headers: { readonly [name: string]: unknown }): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function isJson(contentType: string | undefined): boolean {
  return /^application\/json\b/i.test(contentType ?? "");
}
