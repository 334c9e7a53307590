import type { preParsingAsyncHookHandler } from "fastify";
import { PassThrough } from "node:stream";
import { takesBody } from "./body-parsers.ts";
import { ApiError } from "./problem.ts";
import { SenderGone } from "./sender-gone.ts";

export interface BodyDeadlines {
  /** A body that is read as a whole must be here within this time, ms. */
  readonly wholeMs: number;
  /** Of a stream, something must come within this time, ms. */
  readonly idleMs: number;
}

/** Gives up on who sends a body too slowly: a request in pieces would hold its place for ever. */
export function createBodyDeadline({ wholeMs, idleMs }: BodyDeadlines): preParsingAsyncHookHandler {
  return async (request, _reply, payload) => {
    const isStream = request.routeOptions.config.streams === true && !isJson(request.headers["content-type"]);
    // It left while its key was looked up: that is not told a second time.
    if (request.raw.destroyed && !request.raw.readableEnded) throw new SenderGone();
    if (request.raw.readableEnded || !hasBody(request.headers) || !takesBody(request)) return payload;
    const limited = new PassThrough();
    // A request that is refused before its body is read has nobody else who listens, and would end the process.
    limited.on("error", () => undefined);
    const giveUp = () => {
      // It is we who do not read on.
      if (isStream && limited.writableNeedDrain) return void timer.refresh();
      const what = isStream
        ? `nothing came for ${idleMs / 1000} s`
        : `the body took longer than ${wholeMs / 1000} s`;
      limited.destroy(Object.assign(new ApiError("request-timeout", what), { statusCode: 408 }));
    };
    const timer: NodeJS.Timeout = setTimeout(giveUp, isStream ? idleMs : wholeMs);
    if (isStream) payload.on("data", () => timer.refresh());
    const stop = () => clearTimeout(timer);
    payload.once("end", stop).once("error", stop).once("close", stop);
    limited.once("close", stop);
    payload.on("error", (cause) => limited.destroy(new SenderGone(cause)));
    payload.once("close", () => {
      // The sender went away in the middle: what reads must not wait for the rest.
      if (!payload.readableEnded) limited.destroy(new SenderGone());
    });
    return payload.pipe(limited);
  };
}

function hasBody(headers: { readonly [name: string]: unknown }): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function isJson(contentType: string | undefined): boolean {
  return /^application\/json\b/i.test(contentType ?? "");
}
