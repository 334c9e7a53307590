import type { InstanceOverview } from "../../domain/views/instance-overview.ts";
import type { ApiContext, ZodApi } from "../context/api-context.ts";
import { answer, describe, problems } from "../openapi/describe.ts";
import { assertThere, canSee, getKey, type FindInstance } from "../requests/access.ts";
import { statusQuery, statusSchema, toInstanceStatus } from "../schemas/status.ts";

interface StatusPorts {
  readonly instances: { readonly find: FindInstance };
  readonly overview: {
    /** By id; it may be a second old. */
    read(): Promise<readonly InstanceOverview[]>;
  };
}

const read = { scopes: ["read"] } as const;

const getStatusSchema = {
  ...describe({
    id: "getStatus",
    tag: "Instances",
    summary: "Where instances stand: share of the budget, holds and what to do about them, what waits.",
    description: "As `avatars status`, but cheap: what has to be counted was counted at most seconds ago.",
    access: read,
  }),
  querystring: statusQuery,
  response: {
    200: answer("Of each instance that the key may see, by id.", statusSchema),
    ...problems(read, "invalid-request", "not-found"),
  },
};

/** `GET /v1/status` */
export function addGetStatus(api: ZodApi, { ports, now }: ApiContext<StatusPorts>): void {
  api.get("/v1/status", { config: { access: read }, schema: getStatusSchema }, async (request, reply) => {
    const key = getKey(request);
    const { instanceId } = request.query;
    await assertThere(key, instanceId, ports.instances.find);
    const visible = (await ports.overview.read()).filter(
      ({ instanceId: id }) => canSee(key, id) && (instanceId === undefined || id === instanceId),
    );
    return reply.type("application/json").send({ at: now(), items: visible.map(toInstanceStatus) });
  });
}
