import type { Actor } from "../../../domain/audit.ts";
import { toActor } from "../../requests/actor.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey, noInstance, type FindInstance } from "../../requests/access.ts";
import { instanceParams, instanceSchema, toInstance } from "../../schemas/instance.ts";

interface ResumeInstancePorts {
  readonly instances: {
    readonly find: FindInstance;
    /** Ends a pause, or puts a hold to the test. Returns the state before; undefined: there is no such instance. */
    resume(id: InstanceId, by: Actor): Promise<unknown>;
  };
}

const admin = { scopes: ["admin"] } as const;

const resumeInstanceSchema = {
  ...describe({
    id: "resumeInstance",
    tag: "Instances",
    summary: "Go on with a paused instance; a held one is tried again at once.",
    access: admin,
  }),
  params: instanceParams,
  response: {
    200: answer("As it is now.", instanceSchema),
    ...problems(admin, "invalid-request", "not-found"),
  },
};

/** `POST /v1/instances/{id}/resume` */
export function addResumeInstance(api: ZodApi, { ports, now }: ApiContext<ResumeInstancePorts>): void {
  api.post(
    "/v1/instances/:id/resume",
    { config: { access: admin }, schema: resumeInstanceSchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const { instances } = ports;
      const isKnown = (await instances.resume(id, toActor(request))) !== undefined;
      const changed = isKnown ? await instances.find(id) : undefined;
      if (!changed) throw noInstance(id);
      return reply.type("application/json").send(toInstance(changed, now()));
    },
  );
}
