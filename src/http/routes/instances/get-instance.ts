import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey, noInstance, type FindInstance } from "../../requests/access.ts";
import { instanceParams, instanceSchema, toInstance } from "../../schemas/instance.ts";

interface GetInstancePorts {
  readonly instances: { readonly find: FindInstance };
}

const read = { scopes: ["read"] } as const;

const getInstanceSchema = {
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
};

/** `GET /v1/instances/{id}` */
export function addGetInstance(api: ZodApi, { ports, now }: ApiContext<GetInstancePorts>): void {
  api.get(
    "/v1/instances/:id",
    { config: { access: read }, schema: getInstanceSchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const instance = await ports.instances.find(id);
      if (!instance) throw noInstance(id);
      return reply.type("application/json").send(toInstance(instance, now()));
    },
  );
}
