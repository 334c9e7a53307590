import { z } from "zod";
import type { ApiKey } from "../../../domain/api-key.ts";
import { ApiError } from "../../answers/problem.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import {
  assertOwnPage,
  clearSessionCookie,
  readSessionCookie,
  writeSessionCookie,
} from "../../requests/session-cookie.ts";

interface BegunSession {
  readonly token: string;
  readonly expiresAt: Date;
}

interface ConsoleSessionPorts {
  readonly sessions: {
    /** Begins a session of the key. */
    begin(key: ApiKey): Promise<BegunSession>;
    /** Undefined: the link is none, used, or too old. */
    beginByLink(link: string): Promise<BegunSession | undefined>;
    end(token: string): Promise<void>;
  };
}

const path = "/console/session";
const config = { access: "open", rateLimit: { max: 60 } } as const;
const login = z.union([
  z.strictObject({ key: z.string().max(200) }),
  z.strictObject({ link: z.string().max(200) }),
]);

/**
 * `POST /console/session` begins a session, by an API key or a link that `avatars up` has printed. The browser gets a cookie that no
 * script can read. `DELETE` ends it.
 */
export function addConsoleSession(api: ZodApi, context: ApiContext<ConsoleSessionPorts>): void {
  const { sessions } = context.ports;
  api.post(path, { config, schema: { hide: true, body: login } }, async (request, reply) => {
    assertOwnPage(request);
    const { body } = request;
    const begun =
      "key" in body
        ? await sessions.begin(await context.getKeyOf(body.key.trim(), request))
        : await sessions.beginByLink(body.link);
    if (!begun) {
      throw new ApiError(
        "unauthorized",
        "this link has been used, or is older than ten minutes: log in by a key",
      );
    }
    writeSessionCookie(request, reply, begun);
    return reply.header("cache-control", "no-store").send({ expiresAt: begun.expiresAt.toISOString() });
  });
  api.delete(path, { config, schema: { hide: true } }, async (request, reply) => {
    assertOwnPage(request);
    const token = readSessionCookie(request.headers.cookie);
    if (token !== undefined) await sessions.end(token);
    clearSessionCookie(request, reply);
    return reply.code(204).send();
  });
}
