import type { ChatId } from "../domain/chat-id.ts";
import type { ContactListReport } from "../domain/lookup/contact-list-report.ts";
import type { CallOutcome, InstanceCredentials, Lookup } from "../domain/outcome.ts";
import type { StateReport } from "../domain/lookup/state-report.ts";
import { trimEndSlashes } from "../lib/api-url.ts";
import { exchange, type ExchangeEnd, type ExchangeOptions } from "./exchange.ts";
import { judgeContactsReply } from "./judge-contacts-reply.ts";
import { judgeReply } from "./judge-reply.ts";
import { judgeStateReply } from "./judge-state-reply.ts";
import { toNetworkErrorCode } from "../outbound/network-error-code.ts";
import { createOriginPools, type OriginPools } from "./origin-pools.ts";

/** GREEN-API, the only door to it. */
export interface GreenApi {
  /**
   * Asks once for the avatar of `chatId`. Never rejects for anything that the provider or the network does: that is an outcome.
   * The caller's abort is one, too: `network-error` with the code `ABORTED`.
   */
  getAvatar(instance: InstanceCredentials, chatId: ChatId, options?: CallOptions): Promise<Lookup>;
  /**
   * Asks once for the state of the instance. Never rejects, as getAvatar. The provider allows one such call a second
   * for an instance; to keep to it is the caller's part.
   */
  getState(instance: InstanceCredentials, options?: { readonly signal?: AbortSignal }): Promise<StateReport>;
  /**
   * Asks once for the whole contact list of the instance, users and groups. Never rejects, as getAvatar. The provider
   * allows one such call a second for an instance; to keep to it is the caller's part.
   */
  getContacts(
    instance: InstanceCredentials,
    options?: { readonly signal?: AbortSignal },
  ): Promise<ContactListReport>;
  /** Waits for the calls in flight, which end at their deadline at the latest. Twice is harmless. */
  close(): Promise<void>;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Told when the request is written to a connection, which may have to be opened first. */
  readonly onSent?: () => void;
}

export interface GreenApiOptions {
  /** For one whole getAvatar, from connecting to the last byte. Below some 65 s we would cause HTTP 499 ourselves. */
  readonly callTimeoutMs: number;
  /** For one whole getStateInstance; 10 s unless told. WhatsApp is not asked for it. */
  readonly stateTimeoutMs?: number;
  /** For one whole getContacts; 120 s unless told: a large list takes its time, on the way too. */
  readonly contactsTimeoutMs?: number;
  /**
   * Default: no limit, since all instances of a host share it and calls in flight are limited per instance. A call
   * that waited for a connection would reach the provider outside of its slot.
   */
  readonly maxConnectionsPerOrigin?: number;
  /** An answer has some 300 bytes, and with an embedded image some 100 KiB. */
  readonly maxBodyBytes?: number;
  /** The most bytes of a contact list; 64 MiB unless told. 100,000 contacts have some 12 MB. */
  readonly maxContactsBytes?: number;
}

const defaultMaxBodyBytes = 2 * 1024 * 1024;
const defaultMaxContactsBytes = 64 * 1024 * 1024;
const defaultStateTimeoutMs = 10_000;
const defaultContactsTimeoutMs = 120_000;
const connectTimeoutMs = 10_000;

/** Does no I/O: connections open with the first calls. */
export function createGreenApi(options: GreenApiOptions): GreenApi {
  const { callTimeoutMs, stateTimeoutMs = defaultStateTimeoutMs } = options;
  const { contactsTimeoutMs = defaultContactsTimeoutMs } = options;
  const connections = {
    connections: options.maxConnectionsPerOrigin ?? null,
    pipelining: 1,
    // Idle connections stay for undici's 4 s unless the server says otherwise. That is longer than the pause between two calls
    // at any usual rate. It is shorter than a load balancer's patience, which would end in a reset. The deadline of the call is
    // the only clock, but for a host that does not even accept.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: connectTimeoutMs },
  };
  const pools = createOriginPools({
    ...connections,
    maxResponseSize: options.maxBodyBytes ?? defaultMaxBodyBytes,
  });
  // The limit is a connection's: what may be this large has connections of its own, opened when they are needed.
  const contactsPools = createOriginPools({
    ...connections,
    maxResponseSize: options.maxContactsBytes ?? defaultMaxContactsBytes,
  });
  return {
    async getAvatar(instance, chatId, options = {}) {
      const startedAt = performance.now();
      const body = JSON.stringify({ chatId });
      const methodCall = { method: "getAvatar", body } as const;
      const end = await call(pools, instance, methodCall, { ...options, timeoutMs: callTimeoutMs });
      const outcome =
        end.kind === "replied" ? judgeReply(end.reply, instance.token, new Date()) : toCallOutcome(end);
      return { outcome, tookMs: performance.now() - startedAt };
    },
    async getState(instance, { signal } = {}) {
      const options = { timeoutMs: stateTimeoutMs, signal };
      const end = await call(pools, instance, { method: "getStateInstance" }, options);
      return end.kind === "replied"
        ? judgeStateReply(end.reply, instance.token, new Date())
        : toUnanswered(end);
    },
    async getContacts(instance, { signal } = {}) {
      const options = { timeoutMs: contactsTimeoutMs, signal };
      const end = await call(contactsPools, instance, { method: "getContacts" }, options);
      return end.kind === "replied"
        ? judgeContactsReply(end.reply, instance.token, new Date())
        : toUnanswered(end);
    },
    async close() {
      await Promise.all([pools.close(), contactsPools.close()]);
    },
  };
}

/**
 * https://green-api.com/en/docs/api/service/GetAvatar, https://green-api.com/en/docs/api/account/GetStateInstance,
 * https://green-api.com/en/docs/api/service/GetContacts. What has a body is posted.
 */
type MethodCall =
  | { readonly method: "getAvatar"; readonly body: string }
  | { readonly method: "getStateInstance" | "getContacts"; readonly body?: never };

type NoReply = Exclude<ExchangeEnd, { kind: "replied" }>;

function toUnanswered(end: NoReply): { readonly kind: "unanswered"; readonly code: string } {
  return { kind: "unanswered", code: end.kind === "deadline" ? "DEADLINE" : end.code };
}

function toCallOutcome(end: NoReply): CallOutcome {
  return end.kind === "deadline"
    ? { kind: "deadline", scope: "call", afterMs: end.afterMs }
    : { kind: "network-error", scope: "call", code: end.code };
}

async function call(
  pools: OriginPools,
  { apiUrl, instanceId, token }: InstanceCredentials,
  { method, body }: MethodCall,
  options: ExchangeOptions,
): Promise<ExchangeEnd> {
  try {
    const { origin, pathname } = new URL(apiUrl);
    const prefix = trimEndSlashes(pathname);
    const request = {
      method: body === undefined ? "GET" : "POST",
      path: `${prefix}/waInstance${encodeURIComponent(instanceId)}/${method}/${encodeURIComponent(token)}`,
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        accept: "application/json",
        "user-agent": "contact-avatars",
      },
      body,
    } as const;
    return await exchange(pools.get(origin), request, options);
  } catch (error) {
    return { kind: "failed", code: toNetworkErrorCode(error) };
  }
}
