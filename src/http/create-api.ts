import rateLimit from "@fastify/rate-limit";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { createAuthentication } from "./requests/authenticate.ts";
import { createBodyDeadline, type BodyLimits } from "./requests/body-deadline.ts";
import { addBodyParsers } from "./requests/body-parsers.ts";
import { toCallerAddress } from "./requests/caller-address.ts";
import { linger } from "./requests/linger.ts";
import { addOpenApi } from "./openapi/openapi.ts";
import { createPlaces } from "./requests/places.ts";
import type { ApiPorts } from "./context/ports.ts";
import { ApiError, problemType } from "./answers/problem.ts";
import { toRequestId } from "./requests/request-id.ts";
import { addCreateBatch } from "./routes/batches/create-batch.ts";
import { addBatchResults } from "./routes/batches/batch-results.ts";
import { addCancelBatch } from "./routes/batches/cancel-batch.ts";
import { addGetBatch } from "./routes/batches/get-batch.ts";
import { addListBatchItems } from "./routes/batches/list-batch-items.ts";
import { addListBatches } from "./routes/batches/list-batches.ts";
import { addRetryBatch } from "./routes/batches/retry-batch.ts";
import { addWatchBatch } from "./routes/batches/watch-batch.ts";
import { addFrontRoute } from "./routes/front.ts";
import { addListChanges } from "./routes/changes.ts";
import { addEraseContact } from "./routes/contacts/erase-contact.ts";
import { addGetContact } from "./routes/contacts/get-contact.ts";
import { addGetContactHistory } from "./routes/contacts/get-contact-history.ts";
import { addLookupContacts } from "./routes/contacts/lookup-contacts.ts";
import { addRefreshContact } from "./routes/contacts/refresh-contact.ts";
import { addAddInstance } from "./routes/instances/add-instance.ts";
import { addChangeInstance } from "./routes/instances/change-instance.ts";
import { addGetInstance } from "./routes/instances/get-instance.ts";
import { addListInstances } from "./routes/instances/list-instances.ts";
import { addPauseInstance } from "./routes/instances/pause-instance.ts";
import { addResumeInstance } from "./routes/instances/resume-instance.ts";
import { addGetResyncPlan, addListResyncRuns } from "./routes/resync.ts";
import { addGetHealth, addGetMetrics, addGetReadiness } from "./routes/service.ts";
import { addRemoveInstance } from "./routes/instances/remove-instance.ts";
import { isOfGoneSender } from "./requests/sender-gone.ts";
import { invalidRequest, toApiError, unavailable } from "./answers/to-api-error.ts";
import { whenClosed } from "./requests/when-closed.ts";
import { type ApiContext, type ApiEvents, withZod } from "./context/api-context.ts";

export interface ApiSettings extends BodyLimits {
  /** Of the package. */
  readonly version: string;
  /** Of each key, in each process. */
  readonly requestsPerMinute: number;
  /** Whose `X-Forwarded-For` is believed, see lib/trusted-proxies.ts; none: nobody's. */
  readonly trustedProxies: readonly string[];
  /** A stream of events ends after this time, ms: its reader comes again, if it still reads. */
  readonly watchMs: number;
}

export type Api = FastifyInstance;

const maxParamLength = 300;
const headersTimeoutMs = 10_000;
/** What needs no key, of each address: far more than probes send. */
const openRequestsPerMinute = 600;
/** Keys and addresses that are counted: of more than these, those that have sent nothing for longest are forgotten. */
const counted = 20_000;
/** With keys that are none, of each address. */
const failuresPerMinute = 300;
/** Requests at work: one key alone cannot make all others wait for Postgres until they are refused. */
const atWork = { total: 400, perKey: 100, what: "requests" };
/** nginx's, for a sender who has gone before there was an answer. */
const goneStatus = 499;

/** The API without a port: it knows routes, and neither sockets nor signals. */
export async function createApi(ports: ApiPorts, settings: ApiSettings, events: ApiEvents): Promise<Api> {
  const app = fastify({
    genReqId: (request) => toRequestId(request.headers["x-request-id"]),
    bodyLimit: settings.maxBodyBytes,
    routerOptions: { maxParamLength },
    exposeHeadRoutes: false,
    // What comes while it stops is served, and its connection closed: no request is cut.
    return503OnClosing: false,
    // Bodies have deadlines of their own (body-deadline.ts): a stream may take hours.
    requestTimeout: 0,
    http: { headersTimeout: headersTimeoutMs, requireHostHeader: false },
    trustProxy: settings.trustedProxies.length > 0 && [...settings.trustedProxies],
    frameworkErrors(error, request, reply) {
      sendProblem(error, request, reply);
      // No hook sees it: there is no route.
      whenClosed(reply.raw, () => tellAnswered(request, reply));
    },
  });
  const stopping = new AbortController();

  function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const { id: requestId } = request;
    // It is told of with the others that were answered.
    if (isLeft(request, reply) && isOfGoneSender(error)) return void reply.code(goneStatus).send();
    const apiError = toApiError(error, ports.isTransient);
    if (apiError.status >= 500) tellFailed(request, apiError.kind, apiError.options.cause);
    void reply
      .code(apiError.status)
      .headers(apiError.headers)
      .type(problemType)
      .header("x-request-id", requestId)
      .serializer((problem: unknown) => JSON.stringify(problem))
      .send(apiError.toProblem(requestId));
  }

  function tellFailed(
    { id: requestId, routeOptions }: FastifyRequest,
    problem: string,
    error: unknown,
  ): void {
    if (problem === "cut" && isOfGoneSender(error)) return;
    events.apiFailed({ requestId, route: routeOptions?.url ?? "none", problem }, error);
  }

  function tellAnswered(request: FastifyRequest, reply: FastifyReply): void {
    const { raw } = reply;
    events.apiAnswered({
      requestId: request.id,
      method: request.method,
      route: request.routeOptions?.url ?? "none",
      status: raw.headersSent ? raw.statusCode : goneStatus,
      tookMs: Math.round(reply.elapsedTime),
      key: request.apiKey?.id,
      ...(!raw.writableFinished && { aborted: true as const }),
    });
  }

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

  app.decorateRequest("apiKey", undefined);
  app.addHook("onRequest", async (request, reply) => {
    // Not by the hook onResponse: that is silent about those who go too soon.
    whenClosed(reply.raw, () => {
      linger(request.raw);
      tellAnswered(request, reply);
    });
    void reply.header("x-request-id", request.id);
    if (request.headers.host === undefined && request.raw.httpVersion === "1.1") {
      throw invalidRequest([{ path: "header/host", message: "HTTP/1.1 needs it" }]);
    }
  });
  const authentication = createAuthentication({
    keys: ports.keys,
    now: Date.now,
    async countFailure(request) {
      const counted = await limitFailures(request);
      if (!counted.isAllowed && counted.isExceeded) throw tooManyFailures(counted.ttl);
    },
  });
  app.addHook("onRequest", authentication.onRequest);
  const working = createPlaces(atWork);
  app.decorateRequest("leaveWork", doNothing);
  app.addHook("onRequest", async (request, reply) => {
    if (request.apiKey === undefined) return;
    if (ports.isOverloaded()) throw unavailable();
    request.leaveWork = working.take(request.apiKey.id);
    whenClosed(reply.raw, request.leaveWork);
  });
  addBodyParsers(app);
  app.addHook("preParsing", createBodyDeadline(settings));
  app.addHook("preClose", async () => stopping.abort());

  await app.register(rateLimit, {
    max: (request) => (request.apiKey ? settings.requestsPerMinute : openRequestsPerMinute),
    timeWindow: 60_000,
    // After the key is known, and before the body is read.
    hook: "preParsing",
    keyGenerator: (request) => request.apiKey?.id ?? `ip ${toCallerAddress(request)}`,
    cache: counted,
    enableDraftSpec: true,
    errorResponseBuilder: (_request, { ttl, max }) => rateLimited(max, ttl),
  });
  const limitFailures = app.createRateLimit({
    max: failuresPerMinute,
    timeWindow: 60_000,
    keyGenerator: toCallerAddress,
  });
  await addOpenApi(app, settings.version);

  const context: ApiContext = {
    ports,
    now: () => new Date(),
    closing: stopping.signal,
    isKeyValid: authentication.isValid,
    watchMs: settings.watchMs,
    failed: (request, error) => tellFailed(request, "cut", error),
  };
  const api = withZod(app);
  addFrontRoute(api);
  addGetHealth(api);
  addGetReadiness(api, context);
  addGetMetrics(api, context);
  addListBatches(api, context);
  addGetBatch(api, context);
  addListBatchItems(api, context);
  addCancelBatch(api, context);
  addRetryBatch(api, context);
  addCreateBatch(api, context);
  addBatchResults(api, context);
  addWatchBatch(api, context);
  addGetContact(api, context);
  addGetContactHistory(api, context);
  addRefreshContact(api, context);
  addEraseContact(api, context);
  addLookupContacts(api, context);
  addListChanges(api, context);
  addListInstances(api, context);
  addGetInstance(api, context);
  addAddInstance(api, context);
  addChangeInstance(api, context);
  addPauseInstance(api, context);
  addResumeInstance(api, context);
  addRemoveInstance(api, context);
  addGetResyncPlan(api, context);
  addListResyncRuns(api, context);
  await app.ready();
  return app;
}

/** Has the sender hung up, in the middle of its request or before its answer? */
function isLeft(request: FastifyRequest, { raw }: FastifyReply): boolean {
  return raw.destroyed || raw.closed || (request.raw.destroyed && !request.raw.complete);
}

function doNothing(): void {}

function tooManyFailures(ttlMs: number): ApiError {
  return new ApiError(
    "rate-limited",
    `more than ${failuresPerMinute} requests of this address had no valid key within a minute, nor has this one: check the key`,
    { retryAfterS: toSeconds(ttlMs) },
  );
}

function rateLimited(perMinute: number, ttlMs: number): ApiError {
  return new ApiError(
    "rate-limited",
    `no more than ${perMinute} requests a minute are taken: wait as long as Retry-After says`,
    { retryAfterS: toSeconds(ttlMs) },
  );
}

function toSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
