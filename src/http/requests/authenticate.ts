import type { FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from "fastify";
import type { ApiKey, StoredApiKey } from "../../domain/api-key.ts";
import { hasSecret, parseApiToken } from "../../lib/secrets/api-token.ts";
import { assertAllowed, getKey, type Access } from "./access.ts";
import { createFindKey } from "./find-keys.ts";
import { createKeyCache } from "./key-cache.ts";
import { assertOwnPage, readSessionCookie } from "./session-cookie.ts";
import { ApiError } from "../answers/problem.ts";

export interface ApiKeyPorts {
  /** Finds keys, in any order; ids without a key are left out. At most 1,000 at once. */
  findMany(ids: readonly string[]): Promise<readonly StoredApiKey[]>;
  /** HMAC-SHA256 of a secret, by this installation's key. */
  hmac(secret: string): Buffer;
  /** Notes that the key was used, now and then. Never rejects. */
  noteUse(key: ApiKey): void;
}

/** The sessions of the console, by their tokens. */
export interface SessionPorts {
  /**
   * Finds sessions by their tokens, which are their ids here, in any order, each with its key as it is now; tokens without a
   * session are left out. At most 1,000 at once.
   */
  findMany(
    tokens: readonly string[],
  ): Promise<readonly { readonly id: string; readonly key: StoredApiKey }[]>;
}

export interface AuthenticationOptions {
  readonly keys: ApiKeyPorts;
  readonly sessions: SessionPorts;
  /** Ms since 1970. */
  readonly now: () => number;
  /**
   * Counts a request whose key was found to be none, by its address. The look for the key comes first, which costs little
   * (find-keys.ts): no number of failures keeps a good key out.
   * @throws ApiError `rate-limited`
   */
  readonly countFailure: (request: FastifyRequest) => Promise<void>;
}

/** A request that passed. */
type PassedRequest = Pick<FastifyRequest, "apiKey" | "isConsole" | "headers">;

export interface Authentication {
  /** Lets a request pass, or refuses it with 401, 403 or 429, before its body is read. */
  readonly onRequest: onRequestAsyncHookHandler;
  /**
   * Tells whether the key of a request that passed, or its session, is still good. For answers that last. Where Postgres does
   * not answer it is.
   */
  isValid(request: PassedRequest): Promise<boolean>;
  /**
   * Finds the key of a token.
   * @throws ApiError `unauthorized`, `rate-limited`
   */
  getKey(token: string, request: FastifyRequest): Promise<ApiKey>;
}

export function createAuthentication({
  keys,
  sessions,
  now,
  countFailure,
}: AuthenticationOptions): Authentication {
  const cache = createKeyCache((ids) => keys.findMany(ids), now);
  // No answer is remembered: a session ends with its logout and with its key, at once.
  const findSession = createFindKey((tokens) => sessions.findMany(tokens));

  async function findByToken(text: string): Promise<StoredApiKey | undefined> {
    const token = parseApiToken(text);
    const key = token && (await cache.find(token.id));
    // The secret is compared in any case, so that time does not tell which ids there are.
    const isRight = hasSecret(key?.secretHmac, keys.hmac(token?.secret ?? ""));
    return key && isRight && isInForce(key, now()) ? key : undefined;
  }

  async function findBySession(token: string): Promise<StoredApiKey | undefined> {
    const found = await findSession(token);
    return found && isInForce(found.key, now()) ? found.key : undefined;
  }

  async function authenticate(
    request: FastifyRequest,
    reply: FastifyReply,
    access: Exclude<Access, "open" | "hook">,
  ): Promise<ApiKey> {
    const isBasicAllowed = access === "key" || access.basic === true;
    const { authorization, cookie } = request.headers;
    const session = authorization === undefined ? readSessionCookie(cookie) : undefined;
    if (session !== undefined) assertOwnPage(request);
    const key =
      session === undefined
        ? await findByToken(readToken(authorization, isBasicAllowed) ?? "")
        : await findBySession(session);
    if (!key) {
      // A browser sends none yet, and is asked for it now.
      if (authorization !== undefined || session !== undefined) await countFailure(request);
      throw unauthorized(reply, isBasicAllowed);
    }
    request.isConsole = session !== undefined;
    keys.noteUse(key);
    return key;
  }

  return {
    async onRequest(request, reply) {
      const { config, url } = request.routeOptions;
      // No route: a file that does not exist is no secret.
      if (url === undefined || config.access === "open" || config.access === "hook") return;
      const access = config.access ?? "key";
      const key = await authenticate(request, reply, access);
      request.apiKey = key;
      if (access !== "key") assertAllowed(key, access);
    },
    async isValid(request) {
      const session = request.isConsole ? readSessionCookie(request.headers.cookie) : undefined;
      const finding = session === undefined ? cache.find(getKey(request).id) : findBySession(session);
      const key = await finding.catch(() => "unknown" as const);
      return key === "unknown" || (key !== undefined && isInForce(key, now()));
    },
    async getKey(token, request) {
      const key = await findByToken(token);
      if (key) return key;
      await countFailure(request);
      throw new ApiError(
        "unauthorized",
        "this is no valid key; one is made with: avatars apikey create --scope enqueue,read",
      );
    },
  };
}

function isInForce({ revokedAt, expiresAt }: StoredApiKey, nowMs: number): boolean {
  return revokedAt === undefined && (expiresAt === undefined || expiresAt.getTime() > nowMs);
}

function readToken(header: string | undefined, isBasicAllowed: boolean): string | undefined {
  const [, scheme = "", value = ""] = /^(bearer|basic) +(\S+) *$/i.exec(header ?? "") ?? [];
  if (scheme.toLowerCase() === "bearer") return value;
  if (!isBasicAllowed || scheme === "") return undefined;
  const credentials = Buffer.from(value, "base64").toString();
  return credentials.slice(credentials.indexOf(":") + 1);
}

/**
 * A header for each challenge, `Basic` first. Of several in one header Chrome and Edge read the first alone, and ask no
 * person for a password then. RFC 9110 leaves the order and the number of headers open.
 */
const browserChallenges = [
  'Basic realm="contact-avatars: an API key as the password", charset="UTF-8"',
  "Bearer",
];

function unauthorized(reply: FastifyReply, isBasicAllowed: boolean): ApiError {
  void reply.header("www-authenticate", isBasicAllowed ? browserChallenges : "Bearer");
  return new ApiError(
    "unauthorized",
    "send a valid key as `Authorization: Bearer avk_…`; one is made with: avatars apikey create --scope enqueue,read",
  );
}
