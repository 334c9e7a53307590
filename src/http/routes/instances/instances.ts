import { z } from "zod";
import type { CredentialRefusal } from "../../../domain/judge-credentials.ts";
import { assertVisible, canSee, getKey, noInstance } from "../../requests/access.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { ApiError } from "../../answers/problem.ts";
import {
  instanceChangesSchema,
  instanceListSchema,
  instanceParams,
  instanceSchema,
  newInstanceSchema,
  removeQuery,
  toInstance,
} from "../../schemas/instance.ts";
import { invalidRequest } from "../../answers/to-api-error.ts";

const read = { scopes: ["read"] } as const;
const admin = { scopes: ["admin"] } as const;
/** Instances to come are not among those that a key is limited to. */
const adminOfAll = { scopes: ["admin"], allInstances: true } as const;

/** `/v1/instances` */
export function addInstanceRoutes(api: ZodApi, { ports }: ApiContext): void {
  const { instances } = ports;

  api.get(
    "/v1/instances",
    {
      config: { access: read },
      schema: {
        ...describe({
          id: "listInstances",
          tag: "Instances",
          summary: "All instances that the key may see.",
          access: read,
        }),
        response: { 200: answer("By id.", instanceListSchema), ...problems(read) },
      },
    },
    async (request, reply) => {
      const key = getKey(request);
      const visible = (await instances.list()).filter(({ id }) => canSee(key, id));
      return reply.type("application/json").send({ items: visible.map(toInstance) });
    },
  );

  api.get(
    "/v1/instances/:id",
    {
      config: { access: read },
      schema: {
        ...describe({
          id: "getInstance",
          tag: "Instances",
          summary: "One instance; never its token.",
          access: read,
        }),
        params: instanceParams,
        response: {
          200: answer("The instance.", instanceSchema),
          ...problems(read, "invalid-request", "not-found"),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const instance = await instances.find(id);
      if (!instance) throw noInstance(id);
      return reply.type("application/json").send(toInstance(instance));
    },
  );

  api.post(
    "/v1/instances",
    {
      config: { access: adminOfAll },
      schema: {
        ...describe({
          id: "addInstance",
          tag: "Instances",
          summary: "Add an instance.",
          description: "The token is stored encrypted, and no answer ever holds it.",
          access: adminOfAll,
        }),
        body: newInstanceSchema,
        response: {
          201: answer("Added.", instanceSchema),
          ...problems(
            adminOfAll,
            "invalid-request",
            "malformed-body",
            "request-timeout",
            "conflict",
            "body-too-large",
            "unsupported-media-type",
          ),
        },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const outcome = await instances.add(body);
      if (outcome === "untrusted-host") throw refused(outcome);
      if (outcome === "known") {
        throw new ApiError("conflict", `instance ${body.id} is there already: change it with PATCH`);
      }
      const added = await instances.find(body.id);
      if (!added) throw noInstance(body.id);
      return reply
        .code(201)
        .header("location", `/v1/instances/${body.id}`)
        .type("application/json")
        .send(toInstance(added));
    },
  );

  api.patch(
    "/v1/instances/:id",
    {
      config: { access: admin },
      schema: {
        ...describe({
          id: "changeInstance",
          tag: "Instances",
          summary: "Change an instance while it is worked on.",
          description:
            "In all running workers within 2 seconds. What is left out stays; null takes a setting away. A new token or URL puts a hold to the test at once.",
          access: admin,
        }),
        params: instanceParams,
        body: instanceChangesSchema,
        response: {
          200: answer("As it is now.", instanceSchema),
          ...problems(
            admin,
            "invalid-request",
            "malformed-body",
            "not-found",
            "request-timeout",
            "body-too-large",
            "unsupported-media-type",
          ),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const changed = await instances.change(id, request.body);
      if (changed.kind === "unknown") throw noInstance(id);
      if (changed.kind === "refused") throw refused(changed.refusal);
      return reply.type("application/json").send(toInstance(changed.after));
    },
  );

  for (const [action, paused, summary] of [
    ["pause", true, "Stop calling an instance; its contacts stay due."],
    ["resume", false, "Go on with a paused instance; a held one is tried again at once."],
  ] as const) {
    api.post(
      `/v1/instances/:id/${action}`,
      {
        config: { access: admin },
        schema: {
          ...describe({ id: `${action}Instance`, tag: "Instances", summary, access: admin }),
          params: instanceParams,
          response: {
            200: answer("As it is now.", instanceSchema),
            ...problems(admin, "invalid-request", "not-found"),
          },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        assertVisible(getKey(request), id);
        const changed = await instances.setPaused(id, paused);
        if (!changed) throw noInstance(id);
        return reply.type("application/json").send(toInstance(changed));
      },
    );
  }

  api.delete(
    "/v1/instances/:id",
    {
      config: { access: admin },
      schema: {
        ...describe({
          id: "removeInstance",
          tag: "Instances",
          summary: "Remove an instance.",
          description:
            "Where it has contacts only with `contacts=erase`. Many contacts take minutes: the answer is then 202 and the removal goes on; asked again it finishes what was stopped half way.",
          access: admin,
        }),
        params: instanceParams,
        querystring: removeQuery,
        response: {
          204: z.undefined().describe("Removed."),
          202: answer("Paused, and being removed.", z.object({ id: z.string() }).meta({ id: "Removing" })),
          ...problems(admin, "invalid-request", "not-found", "conflict"),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      if (!(await instances.find(id))) throw noInstance(id);
      if (request.query.contacts === "keep") {
        if (await instances.removeEmpty(id)) return reply.code(204).send();
        throw new ApiError(
          "conflict",
          `instance ${id} has contacts: their avatars and batches are erased with it only with contacts=erase`,
        );
      }
      if (await instances.remove(id)) return reply.code(204).send();
      return reply.code(202).type("application/json").send({ id });
    },
  );
}

function refused(refusal: CredentialRefusal): ApiError {
  return invalidRequest([refusals[refusal]]);
}

const refusals: Readonly<Record<CredentialRefusal, { path: string; message: string }>> = {
  "needs-token": {
    path: "/token",
    message: "An apiUrl at another host needs the token again: it would be sent there",
  },
  "untrusted-host": {
    path: "/apiUrl",
    message:
      "Over HTTP an apiUrl points to GREEN-API by https, or to a host in AVATARS_API_HOSTS; the command line sets any other: avatars instance add",
  },
};
