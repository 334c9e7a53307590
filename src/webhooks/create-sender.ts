import { Agent } from "undici";
import type { DeliveryResult } from "../domain/webhooks/webhook-endpoint.ts";
import { signWebhook } from "../lib/secrets/webhook-secret.ts";
import type { NetworkList } from "../lib/addresses/networks.ts";
import { parseRetryAfter } from "../lib/retry-after.ts";
import { createByteCollector } from "../outbound/byte-collector.ts";
import { createGuardedConnector } from "../outbound/guarded-connector.ts";
import type { Resolve } from "../outbound/guarded-lookup.ts";
import { toNetworkErrorCode } from "../outbound/network-error-code.ts";
import { judgeWebhookUrl } from "./judge-url.ts";
import { redactAnswer } from "./redact-answer.ts";

/** One request, ready to be signed and sent. */
export interface OutgoingEvent {
  readonly url: string;
  /** Each signs: the newest first. */
  readonly secrets: readonly string[];
  /** The `webhook-id`. */
  readonly id: string;
  /** JSON. */
  readonly body: string;
  /** Not to be kept of an answer that repeats them: the chat id, and the like. */
  readonly personal: readonly string[];
}

/** How one try ended, and when the receiver wants the next one, ms from now. */
export type SendResult = DeliveryResult & { readonly retryAfterMs: number | undefined };

/** Sends events to receivers. */
export interface WebhookSender {
  /** Sends once, and never rejects. Redirects are not followed; of an answer 1 kB is read. */
  send(event: OutgoingEvent): Promise<SendResult>;
  /** Breaks off what is under way. Twice is harmless. */
  close(): Promise<void>;
}

export interface SenderOptions {
  readonly networks: NetworkList | undefined;
  /** `contact-avatars/<version>`. */
  readonly userAgent: string;
  /** One try, from looking up the host to the end of the answer, ms; 20,000 unless told. */
  readonly timeoutMs?: number;
  /** For tests: in place of the system's resolver, and of Node's certificates. */
  readonly resolve?: Resolve;
  readonly ca?: string;
}

const defaultTimeoutMs = 20_000;
const connectTimeoutMs = 10_000;
const connectionsPerOrigin = 16;
const mostIdleMs = 30_000;
const answerBytes = 1_024;

/** Does no I/O: connections open with the first events. */
export function createWebhookSender(options: SenderOptions): WebhookSender {
  const { networks, userAgent, timeoutMs = defaultTimeoutMs, resolve, ca } = options;
  const agent = new Agent({
    connections: connectionsPerOrigin,
    pipelining: 1,
    keepAliveTimeout: mostIdleMs,
    keepAliveMaxTimeout: mostIdleMs,
    // The deadline of a try is the only clock.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: createGuardedConnector({ named: [], networks, timeoutMs: connectTimeoutMs, resolve, ca }),
  });

  async function request(url: URL, headers: Record<string, string>, body: string): Promise<Answer> {
    const signal = AbortSignal.timeout(timeoutMs);
    const answer = await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: "POST",
      headers,
      body,
      signal,
    });
    return {
      status: answer.statusCode,
      retryAfter: answer.headers["retry-after"],
      // Its status is there: what becomes of the rest changes nothing.
      text: await readBeginning(answer.body).catch(() => ""),
    };
  }

  return {
    async send({ url: text, secrets, id, body, personal }) {
      const startedAt = performance.now();
      const at = new Date();
      const end = (result: Partial<SendResult>): SendResult => ({
        at,
        tookMs: performance.now() - startedAt,
        ...nothing,
        ...result,
      });
      const target = judgeWebhookUrl(text, networks);
      if (target.kind === "refused") return end({ error: target.reason });
      const sentAtS = Math.floor(at.getTime() / 1000);
      const headers = {
        "content-type": "application/json",
        "user-agent": userAgent,
        "accept-encoding": "identity",
        "webhook-id": id,
        "webhook-timestamp": String(sentAtS),
        "webhook-signature": signWebhook(secrets, id, sentAtS, body),
      };
      try {
        const { status, retryAfter, text: answer } = await request(target.url, headers, body);
        return end({
          status,
          error: toStatusError(status),
          answer: redactAnswer(answer, [...secrets, ...personal]),
          retryAfterMs: parseRetryAfter(retryAfter, new Date()),
        });
      } catch (error) {
        return end({ error: toErrorCode(error) });
      }
    },
    close: async () => agent.destroy(),
  };
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | string[] | undefined;
  readonly text: string;
}

const nothing = { status: undefined, error: undefined, answer: undefined, retryAfterMs: undefined };

/** Reads no more than is kept, without the word in which it ends there; leaving the loop early destroys the connection. */
async function readBeginning(body: AsyncIterable<Uint8Array>): Promise<string> {
  const collector = createByteCollector(answerBytes);
  let isWhole = true;
  for await (const piece of body) if (!(isWhole = collector.add(piece))) break;
  const text = collector.take().toString("utf8");
  return isWhole ? text : text.slice(0, Math.max(0, text.search(/\s\S*$/)));
}

function toStatusError(status: number): string | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status === 410) return "gone";
  return status >= 300 && status < 400 ? "redirect" : "refused";
}

function toErrorCode(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return "timeout";
  const code = toNetworkErrorCode(error);
  if (code === "ADDRESS_REFUSED") return "private-address";
  return code === "UND_ERR_CONNECT_TIMEOUT" ? "timeout" : code;
}
