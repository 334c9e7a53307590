import type { Actor } from "../../../domain/audit.ts";
import { toActor } from "../../requests/actor.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey, noInstance, type FindInstance } from "../../requests/access.ts";
import { instanceParams, instanceSchema, toInstance } from "../../schemas/instance.ts";

interface PauseInstancePorts {
  readonly instances: {
    readonly find: FindInstance;
    /** Returns the state before; undefined: there is no such instance. */
    pause(id: InstanceId, by: Actor): Promise<unknown>;
  };
}

const admin = { scopes: ["admin"] } as const;

const pauseInstanceSchema = {
  ...describe({
    id: "pauseInstance",
    tag: "Instances",
    summary: "Stop calling an instance; its contacts stay due.",
    access: admin,
  }),
  params: instanceParams,
  response: {
    200: answer("As it is now.", instanceSchema),
    ...problems(admin, "invalid-request", "not-found"),
  },
};

/** `POST /v1/instances/{id}/pause` */
export function addPauseInstance(api: ZodApi, { ports, now }: ApiContext<PauseInstancePorts>): void {
  api.post(
    "/v1/instances/:id/pause",
    { config: { access: admin }, schema: pauseInstanceSchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const { instances } = ports;
      const isKnown = (await instances.pause(id, toActor(request))) !== undefined;
      const changed = isKnown ? await instances.find(id) : undefined;
      if (!changed) throw noInstance(id);
      return reply.type("application/json").send(toInstance(changed, now()));
    },
  );
}
