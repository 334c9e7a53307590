import type { FastifyReply, FastifyRequest } from "fastify";
import { ApiError } from "../answers/problem.ts";

const cookieName = "avatars_session";
/** Where the sum of all cookies is longer, none is looked for. */
const maxCookies = 8_192;

/** The header that each write of the console has: no form and no page of another origin can send it. */
const consoleHeader = "x-avatars-console";

/** The token of the console's session; undefined: the request has none. */
export function readSessionCookie(header: string | undefined): string | undefined {
  if (header === undefined || header.length > maxCookies) return undefined;
  for (const pair of header.split(";")) {
    const [name, value] = pair.split("=", 2);
    if (name?.trim() === cookieName) return value?.trim();
  }
  return undefined;
}

/** Gives the browser a session, for all paths: the API's, too. */
export function writeSessionCookie(
  request: FastifyRequest,
  reply: FastifyReply,
  { token, expiresAt }: { readonly token: string; readonly expiresAt: Date },
): void {
  const seconds = Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1000));
  void reply.header("set-cookie", `${cookieName}=${token}; Max-Age=${seconds}${toAttributes(request)}`);
}

/** Takes the session from the browser. */
export function clearSessionCookie(request: FastifyRequest, reply: FastifyReply): void {
  void reply.header("set-cookie", `${cookieName}=; Max-Age=0${toAttributes(request)}`);
}

function toAttributes(request: FastifyRequest): string {
  const isSecure = request.protocol === "https" || !isLoopback(request.hostname);
  return `; Path=${toBase(request)}/; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`;
}

/** AVATARS_BASE_PATH, where the request came with it. */
function toBase({ originalUrl, url }: FastifyRequest): string {
  return originalUrl.endsWith(url) ? originalUrl.slice(0, originalUrl.length - url.length) : "";
}

/** Browsers take this machine for safe without TLS. */
function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/**
 * Refuses what no page of ours has sent: `SameSite` is the browser's promise, this is our own look.
 * @throws ApiError `forbidden`
 */
export function assertOwnPage(request: FastifyRequest): void {
  const { headers, method } = request;
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") throw foreign();
  if (method === "GET" || method === "HEAD") return;
  const { origin } = headers;
  const isOwn = origin !== undefined && URL.canParse(origin) && new URL(origin).host === request.host;
  if (!isOwn || headers[consoleHeader] !== "1") throw foreign();
}

function foreign(): ApiError {
  return new ApiError(
    "forbidden",
    `a session of the console is for its own pages: a write needs their Origin, which is the Host asked, and the header ${consoleHeader}: 1; programs send a key as \`Authorization: Bearer avk_…\``,
  );
}
