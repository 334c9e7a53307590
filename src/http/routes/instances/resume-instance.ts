import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import type { InstancePorts } from "../../context/ports.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey, noInstance } from "../../requests/access.ts";
import { instanceParams, instanceSchema, toInstance } from "../../schemas/instance.ts";

interface ResumeInstancePorts {
  readonly instances: Pick<InstancePorts, "setPaused">;
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
export function addResumeInstance(api: ZodApi, { ports }: ApiContext<ResumeInstancePorts>): void {
  api.post(
    "/v1/instances/:id/resume",
    { config: { access: admin }, schema: resumeInstanceSchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const changed = await ports.instances.setPaused(id, false);
      if (!changed) throw noInstance(id);
      return reply.type("application/json").send(toInstance(changed));
    },
  );
}
