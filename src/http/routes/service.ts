import { z } from "zod";
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

const metricsAccess = { scopes: ["read"], allInstances: true, basic: true } as const;

/** `/healthz`, `/readyz` and `/metrics`, also below `/v1`. */
export function addServiceRoutes(api: ZodApi, { ports, closing }: ApiContext): void {
  for (const prefix of ["", "/v1"]) {
    const hide = prefix !== "";
    api.get(
      `${prefix}/healthz`,
      {
        config: { access: "open" },
        schema: {
          ...describe({
            id: "getHealth",
            tag: "Service",
            summary: "Does the process answer?",
            access: "open",
          }),
          hide,
          response: { 200: answer("It does.", healthSchema), ...problems("open") },
        },
      },
      async () => ({ status: "ok" as const }),
    );

    api.get(
      `${prefix}/readyz`,
      {
        config: { access: "open" },
        schema: {
          ...describe({
            id: "getReadiness",
            tag: "Service",
            summary: "Can requests be served, and what is missing?",
            description:
              "`degraded`: they are served, and something else is away. A queue that is away only delays the calls by seconds.",
            access: "open",
          }),
          hide,
          response: {
            200: answer("Ready, or degraded.", readinessSchema),
            503: answer("Not ready.", readinessSchema),
            ...problems("open"),
          },
        },
      },
      async (_request, reply) => {
        const found = await ports.findMissing();
        const stopping = { name: "stopping", detail: "the process is stopping", isDegraded: false };
        const missing = closing.aborted ? [...found, stopping] : found;
        const isReady = missing.every(({ isDegraded }) => isDegraded);
        const status = missing.length === 0 ? "ready" : isReady ? "degraded" : "not-ready";
        return reply
          .code(isReady ? 200 : 503)
          .type("application/json")
          .send({ status, missing: missing.map(({ name, detail }) => ({ name, detail })) });
      },
    );

    api.get(
      `${prefix}/metrics`,
      {
        config: { access: metricsAccess },
        schema: {
          ...describe({
            id: "getMetrics",
            tag: "Service",
            summary: "Metrics for Prometheus.",
            access: metricsAccess,
          }),
          hide,
          response: {
            200: textAnswer("In the text format of Prometheus.", z.string(), "text/plain"),
            ...problems(metricsAccess),
          },
        },
      },
      async (_request, reply) => {
        const { text, contentType } = await ports.scrape();
        return reply.type(contentType).serializer(String).send(text);
      },
    );
  }
}
