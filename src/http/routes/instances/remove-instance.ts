import type { Actor } from "../../../domain/audit.ts";
import { toActor } from "../../requests/actor.ts";
import { z } from "zod";
import { ApiError } from "../../answers/problem.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey, noInstance, type FindInstance } from "../../requests/access.ts";
import { instanceParams, removeQuery } from "../../schemas/instance.ts";

interface RemoveInstancePorts {
  readonly instances: {
    readonly find: FindInstance;
    /** Removes it unless it has contacts, also such as come at the same time. False: it has, and stays as it is. */
    removeEmpty(id: InstanceId, by: Actor): Promise<boolean>;
    /** Pauses it, and removes it with its contacts. False: it takes longer than `withinMs`, and goes on. */
    remove(id: InstanceId, by: Actor, withinMs: number): Promise<boolean>;
  };
}

const admin = { scopes: ["admin"] } as const;

/** A removal that takes longer goes on behind its answer. */
const removalMs = 10_000;

const removeInstanceSchema = {
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
};

/** `DELETE /v1/instances/{id}` */
export function addRemoveInstance(api: ZodApi, { ports }: ApiContext<RemoveInstancePorts>): void {
  const { instances } = ports;
  api.delete(
    "/v1/instances/:id",
    { config: { access: admin }, schema: removeInstanceSchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      if (!(await instances.find(id))) throw noInstance(id);
      if (request.query.contacts === "keep") {
        if (await instances.removeEmpty(id, toActor(request))) return reply.code(204).send();
        throw new ApiError(
          "conflict",
          `instance ${id} has contacts: their avatars and batches are erased with it only with contacts=erase`,
        );
      }
      if (await instances.remove(id, toActor(request), removalMs)) return reply.code(204).send();
      return reply.code(202).type("application/json").send({ id });
    },
  );
}
