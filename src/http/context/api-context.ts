import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { ApiKey } from "../../domain/api-key.ts";
import type { ChatId } from "../../domain/chat-id.ts";

/** The events that the API reports. Its opener logs and counts them. */
export interface ApiEvents {
  /**
   * Reports a request that was answered, or whose sender has gone before that. Then it is `aborted`, with 499 where no answer
   * had begun. `route` is the pattern, which names no contact. `tookMs` is from the headers of the request to the end of its
   * answer, rounded to whole ms.
   */
  apiAnswered(fields: {
    requestId: string;
    method: string;
    route: string;
    status: number;
    tookMs: number;
    key: string | undefined;
    aborted?: true;
  }): void;
  /** Reports an error of ours, or of Postgres. */
  apiFailed(fields: { requestId: string; route: string; problem: string }, error: unknown): void;
}

/** Reads a chat id or a phone number with its country code (intake/ids/contact-id.ts). */
export type ParseContactId = (
  text: string,
) => { readonly ok: true; readonly chatId: ChatId } | { readonly ok: false; readonly reason: string };

/** The context of a route; `Ports`: its needs of the rest of the product, as it declares them. */
export interface ApiContext<Ports> {
  readonly ports: Ports;
  readonly now: () => Date;
  /** Aborted when the server begins to stop: all that waits for something ends at once. */
  readonly closing: AbortSignal;
  /** Tells whether the key of a request, or its session, is still good. For answers that last. */
  readonly isStillValid: (request: FastifyRequest) => Promise<boolean>;
  /** The key of a token that came with the request. @throws ApiError `unauthorized`, `rate-limited` */
  readonly getKeyOf: (token: string, request: FastifyRequest) => Promise<ApiKey>;
  /** See {@link ApiSettings}. */
  readonly watchMs: number;
  /** See {@link ApiSettings}. */
  readonly imageRequestsPerMinute: number;
  /** Takes an error that came when the answer had begun: the answer can only be cut. */
  readonly failed: (request: FastifyRequest, error: unknown) => void;
}

/** The API while routes are added to it: bodies and answers have the types of their zod schemas. */
export type ZodApi = ReturnType<typeof withZod>;

/** Routes of the result take zod schemas. */
export function withZod(app: FastifyInstance) {
  return app.withTypeProvider<ZodTypeProvider>();
}
