import { z } from "zod";
import type { FastifyReply } from "fastify";
import type { ApiContext, ZodApi } from "../context/api-context.ts";
import { answer, describe, problems, textAnswer } from "../openapi/describe.ts";

const healthSchema = z.object({ status: z.literal("ok") }).meta({ id: "Health" });

const readinessSchema = z
  .object({
    status: z.enum(["ready", "degraded", "not-ready"]),
    missing: z.array(
      z.object({
        name: z.string().meta({ description: "`postgres`, `migrations`, `queue`, `stopping`." }),
        detail: z.string(),
      }),
    ),
  })
  .meta({ id: "Readiness" });

/** The endpoints stand below the version of the API, too: there the document does not repeat them. */
function hidden<Schema extends object>(schema: Schema) {
  return { ...schema, hide: true };
}

const getHealthSchema = {
  ...describe({
    id: "getHealth",
    tag: "Service",
    summary: "Does the process answer?",
    access: "open",
  }),
  response: { 200: answer("It does.", healthSchema), ...problems("open") },
};

/** `GET /healthz` and `GET /v1/healthz` */
export function addGetHealth(api: ZodApi): void {
  const config = { access: "open" } as const;
  // Monitors of uptime ask by HEAD.
  api.get("/healthz", { config, schema: getHealthSchema, exposeHeadRoute: true }, async () => ({
    status: "ok" as const,
  }));
  api.get("/v1/healthz", { config, schema: hidden(getHealthSchema) }, async () => ({
    status: "ok" as const,
  }));
}

const getReadinessSchema = {
  ...describe({
    id: "getReadiness",
    tag: "Service",
    summary: "Can requests be served, and what is missing?",
    description:
      "`degraded`: they are served, and something else is away. A queue that is away only delays the calls by seconds.",
    access: "open",
  }),
  response: {
    200: answer("Ready, or degraded.", readinessSchema),
    503: answer("Not ready.", readinessSchema),
    ...problems("open"),
  },
};

type Readiness = z.output<typeof readinessSchema>;

/** A part that requests need and that is not there. */
export interface MissingPart {
  /** `postgres`, `migrations`, `queue`, `stopping`. */
  readonly name: string;
  readonly detail: string;
  /** Requests are served all the same: the queue is made up for by the sweep. */
  readonly isDegraded: boolean;
}

interface ReadinessPorts {
  /** Finds the parts that are missing before requests can be served; none: ready. Never rejects, and answers within 3 s. */
  findMissing(): Promise<readonly MissingPart[]>;
}

type ReadinessContext = ApiContext<ReadinessPorts>;

/** `GET /readyz` and `GET /v1/readyz` */
export function addGetReadiness(api: ZodApi, context: ReadinessContext): void {
  const config = { access: "open" } as const;
  api.get(
    "/readyz",
    { config, schema: getReadinessSchema, exposeHeadRoute: true },
    async (_request, reply) => {
      const { code, readiness } = await findReadiness(context);
      return reply.code(code).type("application/json").send(readiness);
    },
  );
  api.get("/v1/readyz", { config, schema: hidden(getReadinessSchema) }, async (_request, reply) => {
    const { code, readiness } = await findReadiness(context);
    return reply.code(code).type("application/json").send(readiness);
  });
}

async function findReadiness({ ports, closing }: ReadinessContext) {
  const found = await ports.findMissing();
  const stopping = { name: "stopping", detail: "the process is stopping", isDegraded: false };
  const missing = closing.aborted ? [...found, stopping] : found;
  const isReady = missing.every(({ isDegraded }) => isDegraded);
  const status: Readiness["status"] = missing.length === 0 ? "ready" : isReady ? "degraded" : "not-ready";
  const readiness = { status, missing: missing.map(({ name, detail }) => ({ name, detail })) };
  return { code: isReady ? (200 as const) : (503 as const), readiness };
}

const metricsAccess = { scopes: ["read"], allInstances: true, basic: true } as const;

const getMetricsSchema = {
  ...describe({
    id: "getMetrics",
    tag: "Service",
    summary: "Metrics for Prometheus.",
    access: metricsAccess,
  }),
  response: {
    200: textAnswer("In the text format of Prometheus.", z.string(), "text/plain"),
    ...problems(metricsAccess),
  },
};

interface MetricsPorts {
  scrape(): Promise<{ readonly text: string; readonly contentType: string }>;
}

/** `GET /metrics` and `GET /v1/metrics` */
export function addGetMetrics(api: ZodApi, { ports }: ApiContext<MetricsPorts>): void {
  const config = { access: metricsAccess };
  api.get("/metrics", { config, schema: getMetricsSchema }, (_, reply) => sendMetrics(ports, reply));
  api.get("/v1/metrics", { config, schema: hidden(getMetricsSchema) }, (_, reply) =>
    sendMetrics(ports, reply),
  );
}

async function sendMetrics({ scrape }: MetricsPorts, reply: FastifyReply): Promise<FastifyReply> {
  const { text, contentType } = await scrape();
  return reply.type(contentType).serializer(String).send(text);
}
