import fastify, { type FastifyInstance } from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { addRoutes, type RoutePorts } from "./add-routes.ts";
import { ApiError } from "./answers/problem.ts";
import { invalidRequest, unavailable } from "./answers/to-api-error.ts";
import { type ApiEvents, withZod } from "./context/api-context.ts";
import { createReports, type ReportPorts, type Reports } from "./create-reports.ts";
import { addOpenApi } from "./openapi/openapi.ts";
import { addRateLimits } from "./rate-limits.ts";
import { createHookAuthentication, type HookSecretPorts } from "./requests/authenticate-hook.ts";
import { createAuthentication, type ApiKeyPorts, type SessionPorts } from "./requests/authenticate.ts";
import { createBodyDeadline, type BodyLimits } from "./requests/body-deadline.ts";
import { addBodyParsers } from "./requests/body-parsers.ts";
import { addConsoleMasking, type RevealPorts } from "./requests/console-masking.ts";
import { linger } from "./requests/linger.ts";
import { createPlaces } from "./requests/places.ts";
import { toRequestId } from "./requests/request-id.ts";
import { whenClosed } from "./requests/when-closed.ts";

export interface ApiSettings extends BodyLimits {
  /** The version of the package. */
  readonly version: string;
  /** The path below which a proxy has all of it, without a slash at its end; empty: none. */
  readonly basePath: string;
  /** The requests of a key in each process. */
  readonly requestsPerMinute: number;
  /** The requests of images without a key, of an address, in each process. */
  readonly imageRequestsPerMinute: number;
  /** The proxies whose `X-Forwarded-For` is believed, see lib/addresses/trusted-proxies.ts; empty: none. */
  readonly trustedProxies: readonly string[];
  /** A stream of events ends after this time, ms: its reader comes again, if it still reads. */
  readonly watchMs: number;
}

export type Api = FastifyInstance;

/**
 * The ports of the API: those of its routes, and those of what comes before them. A call that fails because Postgres is slow
 * or away rejects with an error that `isTransient` knows.
 */
export type ApiPorts = RoutePorts &
  ReportPorts &
  WorkPorts &
  RevealPorts & {
    readonly keys: ApiKeyPorts;
    readonly signals: HookSecretPorts;
    readonly sessions: SessionPorts;
  };

interface WorkPorts {
  /** True: so many requests wait for Postgres that a further one would not be served in time. */
  readonly isOverloaded: () => boolean;
}

const maxParamLength = 300;
const headersTimeoutMs = 10_000;
/** Requests at work: one key alone cannot make all others wait for Postgres until they are refused. */
const atWork = { total: 400, perKey: 100, what: "requests" };

/** The API without a port: it knows routes, and neither sockets nor signals. */
export async function createApi(ports: ApiPorts, settings: ApiSettings, events: ApiEvents): Promise<Api> {
  const reports = createReports(ports, events);
  const app = createServer(settings, reports);
  const stopping = new AbortController();
  const authentication = createAuthentication({
    keys: ports.keys,
    sessions: ports.sessions,
    now: Date.now,
    // The limits come after these hooks, and before the first request.
    countFailure: (request) => countFailure(request),
  });

  const authenticateHook = createHookAuthentication({
    signals: ports.signals,
    now: Date.now,
    countFailure: (request) => countFailure(request),
  });

  // The order of the hooks is the order in which a request passes them.
  addAnswerHook(app, reports);
  app.decorateRequest("apiKey", undefined);
  app.decorateRequest("hookOf", undefined);
  app.decorateRequest("isConsole", false);
  app.addHook("onRequest", authentication.onRequest);
  app.addHook("onRequest", authenticateHook);
  addConsoleMasking(app, ports);
  addWorkHook(app, ports);
  addBodyParsers(app);
  app.addHook("preParsing", createBodyDeadline(settings));
  app.addHook("preClose", async () => stopping.abort());
  const countFailure = await addRateLimits(app, settings);
  await addOpenApi(app, settings.version);
  addRoutes(withZod(app), {
    ports,
    now: () => new Date(),
    closing: stopping.signal,
    isStillValid: authentication.isValid,
    getKeyOf: authentication.getKey,
    watchMs: settings.watchMs,
    imageRequestsPerMinute: settings.imageRequestsPerMinute,
    failed: reports.tellCut,
  });
  await app.ready();
  return app;
}

/** Makes Fastify without a route: with its bounds, and its ways to check and write bodies and to answer errors. */
function createServer(settings: ApiSettings, { sendProblem, tellAnswered }: Reports): Api {
  const app = fastify({
    genReqId: (request) => toRequestId(request.headers["x-request-id"]),
    bodyLimit: settings.maxBodyBytes,
    routerOptions: { maxParamLength },
    rewriteUrl: ({ url = "/" }) => withoutBase(url, settings.basePath),
    exposeHeadRoutes: false,
    // A request that comes while it stops is served, and its connection closed: no request is cut.
    return503OnClosing: false,
    // Bodies have deadlines of their own (body-deadline.ts): a stream may take hours.
    requestTimeout: 0,
    http: { headersTimeout: headersTimeoutMs, requireHostHeader: false },
    trustProxy: settings.trustedProxies.length > 0 && [...settings.trustedProxies],
    frameworkErrors(error, request, reply) {
      const startedAt = performance.now();
      sendProblem(error, request, reply);
      // No hook sees the request: it has no route.
      whenClosed(reply.raw, () => tellAnswered(request, reply, startedAt));
    },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler((request, reply) => {
    sendProblem(
      new ApiError("not-found", "there is nothing at this path with this method: see /docs"),
      request,
      reply,
    );
  });
  return app;
}

/** Gives each answer its request's id, and has it reported when it is closed. */
function addAnswerHook(app: FastifyInstance, { tellAnswered }: Reports): void {
  app.addHook("onRequest", async (request, reply) => {
    const startedAt = performance.now();
    // The hook onResponse does not do: it is silent about senders who go too soon.
    whenClosed(reply.raw, () => {
      linger(request.raw);
      tellAnswered(request, reply, startedAt);
    });
    void reply.header("x-request-id", request.id);
    if (request.headers.host === undefined && request.raw.httpVersion === "1.1") {
      throw invalidRequest([{ path: "header/host", message: "HTTP/1.1 needs it" }]);
    }
  });
}

/** Gives each request with a key a place among those at work, until it is answered or lasts. */
function addWorkHook(app: FastifyInstance, { isOverloaded }: WorkPorts): void {
  const working = createPlaces(atWork);
  app.decorateRequest("leaveWork", doNothing);
  app.addHook("onRequest", async (request, reply) => {
    if (request.apiKey === undefined) return;
    if (isOverloaded()) throw unavailable();
    request.leaveWork = working.take(request.apiKey.id);
    whenClosed(reply.raw, request.leaveWork);
  });
}

function doNothing(): void {}

/** A proxy passes the path on as it came, or without the base: both are served. */
function withoutBase(url: string, basePath: string): string {
  if (basePath === "" || !url.startsWith(basePath)) return url;
  const rest = url.slice(basePath.length);
  if (rest.startsWith("/")) return rest;
  return rest === "" || rest.startsWith("?") ? `/${rest}` : url;
}
