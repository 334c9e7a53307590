import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance } from "fastify";
import { jsonSchemaTransform, jsonSchemaTransformObject } from "fastify-type-provider-zod";
import type { OpenAPIV3_1 } from "openapi-types";
import { acceptBodies } from "../schemas/new-batch.ts";

type Json = Record<string, unknown>;

const tags = [
  { name: "Batches", description: "Ask for many contacts at once, and follow them." },
  { name: "Contacts", description: "What is known of a contact, and asking for it now." },
  { name: "Changes", description: "The feed of avatar changes." },
  { name: "Instances", description: "The GREEN-API instances that are called." },
  { name: "Resync", description: "What is refreshed by itself, at night and by day." },
  { name: "Audit", description: "Who did what." },
  { name: "Webhooks", description: "Who is told of changes and events, by Standard Webhooks 1.0." },
  { name: "Keys", description: "The keys of this API." },
  { name: "Service", description: "Is it up, and what is it doing." },
];

/** Files of this server, and nothing from elsewhere; over plain HTTP too, which the package's own policy would not allow. */
const contentPolicy = {
  "default-src": "'self'",
  "base-uri": "'none'",
  "font-src": ["'self'", "data:"],
  "form-action": "'none'",
  "frame-ancestors": "'none'",
  "img-src": ["'self'", "data:"],
  "object-src": "'none'",
  "script-src-attr": "'none'",
  "style-src-elem": "'self'",
};

/** A head and shoulders in a circle. */
const avatarIcon =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="#128c7e"/><circle cx="8" cy="6" r="3" fill="#fff"/><path d="M2.5 14a5.5 5 0 0 1 11 0A8 8 0 0 1 8 16a8 8 0 0 1-5.5-2z" fill="#fff"/></svg>';

/**
 * Describes all routes that are registered afterwards in an OpenAPI 3.1 document at `/openapi.json`. Shows it at `/docs`,
 * from files of ours alone.
 */
export async function addOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "contact-avatars",
        version,
        summary: "The WhatsApp avatars of your contacts, fresh in your own Postgres.",
        description:
          "Enqueue contacts, follow their batches, read avatars, and ask for one contact now. Errors are `application/problem+json` with a stable `code`; every answer carries an `X-Request-Id`.",
        license: { name: "MIT", identifier: "MIT" },
      },
      servers: [{ url: "/", description: "This server." }],
      tags,
      components: {
        securitySchemes: {
          key: {
            type: "http",
            scheme: "bearer",
            description: "An API key, `avk_…`, made with `avatars apikey create --scope …`.",
          },
          password: {
            type: "http",
            scheme: "basic",
            description: "The same key as the password, for browsers; any user name.",
          },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => complete(jsonSchemaTransformObject(document) as OpenAPIV3_1.Document),
  });

  await app.register(swaggerUi, {
    routePrefix: "/docs",
    staticCSP: contentPolicy,
    // The base layout has no bar for other documents and no logo.
    // The check of the document by Swagger UI would be done by a host outside.
    uiConfig: {
      layout: "BaseLayout",
      validatorUrl: null,
      displayRequestDuration: true,
      persistAuthorization: false,
    },
    theme: {
      title: "contact-avatars",
      favicon: [
        { filename: "avatar.svg", rel: "icon", type: "image/svg+xml", sizes: "any", content: avatarIcon },
      ],
    },
  });

  app.get("/openapi.json", { config: { access: "key" }, schema: { hide: true } }, async () => app.swagger());
}

/**
 * Adds the body of the one route that reads it by itself. Leaves out the components that nothing refers to: each schema is
 * made for requests and for answers.
 */
function complete(document: OpenAPIV3_1.Document): OpenAPIV3_1.Document {
  const createBatch = document.paths?.["/v1/batches"]?.post;
  if (createBatch) createBatch.requestBody = { required: true, content: acceptBodies as never };
  const schemas = (document.components?.schemas ?? {}) as Json;
  const used = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, child] of Object.entries(value)) {
      if (key === "$ref" && typeof child === "string") {
        const name = child.replace("#/components/schemas/", "");
        if (!used.has(name)) {
          used.add(name);
          visit(schemas[name]);
        }
      } else visit(child);
    }
  };
  visit(document.paths);
  const kept = Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name)));
  return { ...document, components: { ...document.components, schemas: kept as never } };
}
