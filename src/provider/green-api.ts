import type { ChatId } from "../domain/chat-id.ts";
import type { ContactListReport } from "../domain/lookup/contact-list-report.ts";
import type { InstanceCredentials, Lookup, Outcome } from "../domain/outcome.ts";
import type { StateReport } from "../domain/lookup/state-report.ts";
import { toNetworkErrorCode } from "../outbound/network-error-code.ts";
import { createApiTargets, type MethodName } from "./api-targets.ts";
import type { ExchangeEnd } from "./wire/exchange.ts";
import { createExchanges, type Exchanges } from "./wire/exchanges.ts";
import { judgeContactsReply } from "./judge-contacts-reply.ts";
import { judgeReply } from "./judge-reply.ts";
import { judgeStateReply } from "./judge-state-reply.ts";
import { createOriginPools, type OriginPools } from "./wire/origin-pools.ts";

/** GREEN-API, the only door to it. */
export interface GreenApi {
  /**
   * Asks once for the avatar of `chatId`. Never rejects for anything that the provider or the network does: that is an outcome.
   * The caller's abort is one, too: `not-sent` before the request has left, then `network-error` with the code `ABORTED`.
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
  /**
   * Asked once, at the moment when the request would be written to a connection, which may have had to be opened first. False: no
   * byte is written, and the outcome is `not-sent`. It is not asked at all where the call ends before.
   */
  readonly mayLeave?: () => boolean;
}

export interface GreenApiOptions {
  /** For one whole getAvatar, from connecting to the last byte. Below some 65 s we would cause HTTP 499 ourselves. */
  readonly callTimeoutMs: number;
  /** For one whole getStateInstance; 10 s unless told. WhatsApp is not asked for it. */
  readonly stateTimeoutMs?: number;
  /** For one whole getContacts; 120 s unless told: a large list takes its time, on the way too. */
  readonly contactsTimeoutMs?: number;
  /**
   * Default: no limit, since all instances of a host share it and calls in flight are limited per instance. There are never more
   * connections than there were calls at a time. A call that waited for one would reach the provider outside of its slot.
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

/** Does no I/O: connections open with the first calls. */
export function createGreenApi(options: GreenApiOptions): GreenApi {
  const { callTimeoutMs, stateTimeoutMs = defaultStateTimeoutMs } = options;
  const { contactsTimeoutMs = defaultContactsTimeoutMs } = options;
  const { maxConnectionsPerOrigin: maxConnections } = options;
  const maxBodyBytes = options.maxBodyBytes ?? defaultMaxBodyBytes;
  const pools = createOriginPools({ maxConnections, maxBodyBytes });
  // The limit is a connection's: what may be this large has connections of its own, opened when they are needed.
  const maxContactsBytes = options.maxContactsBytes ?? defaultMaxContactsBytes;
  const contactsPools = createOriginPools({ maxConnections, maxBodyBytes: maxContactsBytes });
  const exchanges = createExchanges();
  const callAvatar = createMethod({ method: "getAvatar", timeoutMs: callTimeoutMs, pools, exchanges });
  const callState = createMethod({
    method: "getStateInstance",
    timeoutMs: stateTimeoutMs,
    pools,
    exchanges,
  });
  const callContacts = createMethod({
    method: "getContacts",
    timeoutMs: contactsTimeoutMs,
    pools: contactsPools,
    exchanges,
  });
  return {
    async getAvatar(instance, chatId, options) {
      const startedAt = performance.now();
      const end = await callAvatar(instance, options, `{"chatId":${JSON.stringify(chatId)}}`);
      const outcome =
        end.kind === "replied" ? judgeReply(end.reply, instance.token, new Date()) : toOutcome(end);
      return { outcome, tookMs: performance.now() - startedAt };
    },
    async getState(instance, options) {
      const end = await callState(instance, options);
      return end.kind === "replied"
        ? judgeStateReply(end.reply, instance.token, new Date())
        : toUnanswered(end);
    },
    async getContacts(instance, options) {
      const end = await callContacts(instance, options);
      return end.kind === "replied"
        ? judgeContactsReply(end.reply, instance.token, new Date())
        : toUnanswered(end);
    },
    async close() {
      await Promise.all([pools.close(), contactsPools.close()]);
    },
  };
}

type NoReply = Exclude<ExchangeEnd, { kind: "replied" }>;

function toUnanswered(end: NoReply): { readonly kind: "unanswered"; readonly code: string } {
  switch (end.kind) {
    case "deadline":
      return { kind: "unanswered", code: "DEADLINE" };
    case "not-sent":
      return { kind: "unanswered", code: "ABORTED" };
    case "failed":
      return { kind: "unanswered", code: end.code };
  }
}

function toOutcome(end: NoReply): Outcome {
  switch (end.kind) {
    case "deadline":
      return { kind: "deadline", scope: "call", afterMs: end.afterMs };
    case "not-sent":
      return end;
    case "failed":
      return { kind: "network-error", scope: "call", code: end.code };
  }
}

interface MethodOptions {
  readonly method: MethodName;
  readonly timeoutMs: number;
  readonly pools: OriginPools;
  readonly exchanges: Exchanges;
}

/** Calls one method of an instance; never rejects. What has a body is posted. */
type CallMethod = (
  instance: InstanceCredentials,
  options: CallOptions | undefined,
  body?: string,
) => Promise<ExchangeEnd>;

function createMethod({ method, timeoutMs, pools, exchanges }: MethodOptions): CallMethod {
  const findTarget = createApiTargets(method);
  return (instance, options, body) => {
    try {
      const { origin, path } = findTarget(instance);
      const request = { method: body === undefined ? "GET" : "POST", path, body } as const;
      const { signal, mayLeave } = options ?? {};
      return exchanges.send(pools.get(origin), request, { timeoutMs, signal, mayLeave });
    } catch (error) {
      return Promise.resolve({ kind: "failed", code: toNetworkErrorCode(error) });
    }
  };
}
