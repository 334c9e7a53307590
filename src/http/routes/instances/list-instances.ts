import type { InstanceView } from "../../../domain/views/instance-view.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { canSee, getKey } from "../../requests/access.ts";
import { instanceListSchema, toInstance } from "../../schemas/instance.ts";

interface ListInstancesPorts {
  readonly instances: {
    /** Lists all instances, by id. */
    list(): Promise<InstanceView[]>;
  };
}

const read = { scopes: ["read"] } as const;

const listInstancesSchema = {
  ...describe({
    id: "listInstances",
    tag: "Instances",
    summary: "All instances that the key may see.",
    access: read,
  }),
  response: { 200: answer("By id.", instanceListSchema), ...problems(read) },
};

/** `GET /v1/instances` */
export function addListInstances(api: ZodApi, { ports, now }: ApiContext<ListInstancesPorts>): void {
  api.get(
    "/v1/instances",
    { config: { access: read }, schema: listInstancesSchema },
    async (request, reply) => {
      const key = getKey(request);
      const visible = (await ports.instances.list()).filter(({ id }) => canSee(key, id));
      return reply
        .type("application/json")
        .send({ items: visible.map((instance) => toInstance(instance, now())) });
    },
  );
}
