import rateLimit from "@fastify/rate-limit";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { ApiError } from "./answers/problem.ts";
import { toCallerAddress } from "./requests/caller-address.ts";

/** Requests that need no key, of each address: far more than probes send. */
const openRequestsPerMinute = 600;
/** Notifications of each instance: GREEN-API sends some 50 a second. */
const signalsPerMinute = 12_000;
/** Keys and addresses that are counted: beyond, those that have sent nothing for longest are forgotten. */
const counted = 20_000;
/** Requests without a valid key, of each address. */
const failuresPerMinute = 300;
const minuteMs = 60_000;

/**
 * Limits the requests of each key, the notifications of each instance, and the requests of each address where a route needs none.
 * @returns counts a request without a valid key, and throws ApiError `rate-limited` where its address has sent too many
 */
export async function addRateLimits(
  app: FastifyInstance,
  { requestsPerMinute }: { readonly requestsPerMinute: number },
): Promise<(request: FastifyRequest) => Promise<void>> {
  await app.register(rateLimit, {
    max: ({ apiKey, hookOf }) =>
      apiKey ? requestsPerMinute : hookOf ? signalsPerMinute : openRequestsPerMinute,
    timeWindow: minuteMs,
    // The limit comes after the key is known, and before the body is read.
    hook: "preParsing",
    keyGenerator: (request) =>
      request.apiKey?.id ??
      (request.hookOf === undefined ? `ip ${toCallerAddress(request)}` : `hook ${request.hookOf}`),
    cache: counted,
    enableDraftSpec: true,
    errorResponseBuilder: (_request, { ttl, max }) => rateLimited(max, ttl),
  });
  const limitFailures = app.createRateLimit({
    max: failuresPerMinute,
    timeWindow: minuteMs,
    keyGenerator: toCallerAddress,
  });
  return async (request) => {
    const failures = await limitFailures(request);
    if (!failures.isAllowed && failures.isExceeded) throw tooManyFailures(failures.ttl);
  };
}

function tooManyFailures(ttlMs: number): ApiError {
  return new ApiError(
    "rate-limited",
    `more than ${failuresPerMinute} requests of this address had no valid key within a minute, nor has this one: check the key`,
    { retryAfterS: toSeconds(ttlMs) },
  );
}

function rateLimited(perMinute: number, ttlMs: number): ApiError {
  return new ApiError(
    "rate-limited",
    `no more than ${perMinute} requests a minute are taken: wait as long as Retry-After says`,
    { retryAfterS: toSeconds(ttlMs) },
  );
}

function toSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
