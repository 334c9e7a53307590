import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { ApiKey } from "../../domain/api-key.ts";
import type { ChatId } from "../../domain/chat-id.ts";

/** What the API reports. Its opener logs and counts it. */
export interface ApiEvents {
  /**
   * Each request, when it has been answered, or its sender has gone before that: then `aborted`, and 499 where no answer had
   * begun. `route` is the pattern, which names no contact. `tookMs` is from the request's headers to the end of its answer,
   * rounded to whole ms.
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
  /** An error that is ours, or Postgres's. */
  apiFailed(fields: { requestId: string; route: string; problem: string }, error: unknown): void;
}

/** Reads a chat id or a phone number with its country code (intake/ids/contact-id.ts). */
export type ParseContactId = (
  text: string,
) => { readonly ok: true; readonly chatId: ChatId } | { readonly ok: false; readonly reason: string };

/** What a route is given; `Ports`: what it needs of the rest of the product, as it says itself. */
export interface ApiContext<Ports> {
  readonly ports: Ports;
  readonly now: () => Date;
  /** Aborted when the server begins to stop: what waits for something ends at once. */
  readonly closing: AbortSignal;
  /** Is the key of a request still good? For answers that last. */
  readonly isKeyValid: (key: ApiKey) => Promise<boolean>;
  /** See {@link ApiSettings}. */
  readonly watchMs: number;
  /** To be told what failed when the answer had begun: it can only be cut. */
  readonly failed: (request: FastifyRequest, error: unknown) => void;
}

/** The API while routes are added to it: bodies and answers have the types of their zod schemas. */
export type ZodApi = ReturnType<typeof withZod>;

/** Routes of the result take zod schemas. */
export function withZod(app: FastifyInstance) {
  return app.withTypeProvider<ZodTypeProvider>();
}
