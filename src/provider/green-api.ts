import { type Dispatcher, errors } from "undici";

import type { ChatId } from "../domain/chat-id.ts";
import type { InstanceCredentials, Lookup, Outcome } from "../domain/outcome.ts";
import { judgeReply, type RawReply } from "./judge-reply.ts";
import { toNetworkErrorCode } from "./network-error-code.ts";
import { createOriginPools, type OriginPools } from "./origin-pools.ts";

/** GREEN-API, the only door to it. */
export interface GreenApi {
  /**
   * Asks once for the avatar of `chatId`. Never rejects for anything that the provider or the network
   * does: that is an outcome, and so is the caller's abort (`network-error` with the code `ABORTED`).
   */
  getAvatar(
    instance: InstanceCredentials,
    chatId: ChatId,
    options?: { readonly signal?: AbortSignal },
  ): Promise<Lookup>;
  /** Waits for the calls in flight, which end at their deadline at the latest. Twice is harmless. */
  close(): Promise<void>;
}

export interface GreenApiOptions {
  /** For one whole call, from connecting to the last byte. Below some 65 s we would cause HTTP 499 ourselves. */
  readonly callTimeoutMs: number;
  /**
   * Default: no limit, since all instances of a host share it and calls in flight are limited per instance. A call
   * that waited for a connection would reach the provider outside of its slot.
   */
  readonly maxConnectionsPerOrigin?: number;
  /** An answer has some 300 bytes, and with an embedded image some 100 KiB. */
  readonly maxBodyBytes?: number;
}

const defaultMaxBodyBytes = 2 * 1024 * 1024;
const connectTimeoutMs = 10_000;

/** Does no I/O: connections open with the first calls. */
export function createGreenApi(options: GreenApiOptions): GreenApi {
  const { callTimeoutMs } = options;
  const pools = createOriginPools({
    connections: options.maxConnectionsPerOrigin ?? null,
    pipelining: 1,
    // Idle connections stay for undici's 4 s unless the server says otherwise: longer than the pause between
    // two calls at any usual rate, shorter than a load balancer's patience, which would end in a reset.
    // The deadline of the call is the only clock, but for a host that does not even accept.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: connectTimeoutMs },
    maxResponseSize: options.maxBodyBytes ?? defaultMaxBodyBytes,
  });
  return {
    async getAvatar(instance, chatId, { signal } = {}) {
      const startedAt = performance.now();
      const outcome = await lookUp(pools, instance, chatId, callTimeoutMs, signal);
      return { outcome, tookMs: performance.now() - startedAt };
    },
    close: () => pools.close(),
  };
}

type End = "deadline" | "aborted";

async function lookUp(
  pools: OriginPools,
  instance: InstanceCredentials,
  chatId: ChatId,
  callTimeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  if (signal?.aborted === true) return toEnded("aborted", callTimeoutMs);
  // By hand: 2 µs a call, where AbortSignal.any over AbortSignal.timeout takes 16 (Node 20).
  const controller = new AbortController();
  let ended: End | undefined;
  const end = (by: End): void => {
    ended ??= by;
    controller.abort();
  };
  const onAbort = (): void => end("aborted");
  const timer = setTimeout(end, callTimeoutMs, "deadline");
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const reply = await call(pools, instance, chatId, controller.signal);
    return judgeReply(reply, instance.token, new Date());
  } catch (error) {
    if (ended !== undefined) return toEnded(ended, callTimeoutMs);
    return { kind: "network-error", scope: "call", code: toNetworkErrorCode(error) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

function toEnded(end: End, callTimeoutMs: number): Outcome {
  return end === "deadline"
    ? { kind: "deadline", scope: "call", afterMs: callTimeoutMs }
    : { kind: "network-error", scope: "call", code: "ABORTED" };
}

/** https://green-api.com/en/docs/api/service/GetAvatar. Redirects are not followed: they would take the token along. */
async function call(
  pools: OriginPools,
  { apiUrl, instanceId, token }: InstanceCredentials,
  chatId: ChatId,
  signal: AbortSignal,
): Promise<RawReply> {
  const { origin, pathname } = new URL(apiUrl);
  const prefix = pathname.replace(/\/+$/, "");
  const { statusCode, headers, body } = await pools.get(origin).request({
    method: "POST",
    path: `${prefix}/waInstance${encodeURIComponent(instanceId)}/getAvatar/${encodeURIComponent(token)}`,
    headers: {
      "content-type": "application/json",
      accept: "application/json",
      "user-agent": "contact-avatars",
    },
    body: JSON.stringify({ chatId }),
    signal,
  });
  return { status: statusCode, headers, body: await readBody(body) };
}

/** undici drops the connection at the limit. What the status says without a body holds all the same. */
async function readBody(body: Dispatcher.ResponseData["body"]): Promise<string> {
  try {
    return await body.text();
  } catch (error) {
    if (error instanceof errors.ResponseExceededMaxSizeError) return "body over the size limit";
    throw error;
  }
}
