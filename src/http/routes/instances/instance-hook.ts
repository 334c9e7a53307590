import { z } from "zod";
import type { Actor } from "../../../domain/audit.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import { ApiError } from "../../answers/problem.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey, noInstance, type FindInstance } from "../../requests/access.ts";
import { toActor } from "../../requests/actor.ts";
import { hookSchema, instanceParams } from "../../schemas/instance.ts";

interface InstanceHookPorts {
  readonly instances: { readonly find: FindInstance };
  readonly signals: {
    /** The secret can never be read again. Undefined: there is no such instance. */
    renewSecret(id: InstanceId, by: Actor): Promise<string | undefined>;
    /** False: it took no notifications. */
    removeSecret(id: InstanceId, by: Actor): Promise<boolean>;
  };
  /** The address at which the provider reaches a hook, by its path. Undefined: it is not known. */
  readonly toPublicUrl: (path: string) => string | undefined;
}

const admin = { scopes: ["admin"] } as const;

const renewHookSchema = {
  ...describe({
    id: "renewHook",
    tag: "Instances",
    summary: "Have GREEN-API tell of new chats.",
    description:
      "Makes the token that GREEN-API's notifications have to come with; an earlier one ends within 5 seconds. Set both in GREEN-API's console: `url` as webhookUrl, `token` as webhookUrlToken. The token is not shown again.",
    access: admin,
  }),
  params: instanceParams,
  response: {
    200: answer("Where to, and with what.", hookSchema),
    ...problems(admin, "invalid-request", "not-found"),
  },
};

/** `POST /v1/instances/{id}/hook` */
export function addRenewHook(api: ZodApi, { ports }: ApiContext<InstanceHookPorts>): void {
  api.post(
    "/v1/instances/:id/hook",
    { config: { access: admin }, schema: renewHookSchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const token = await ports.signals.renewSecret(id, toActor(request));
      if (token === undefined) throw noInstance(id);
      const path = `/hooks/green-api/${id}`;
      const url = ports.toPublicUrl(path) ?? null;
      return reply.header("cache-control", "no-store").type("application/json").send({ path, url, token });
    },
  );
}

const removeHookSchema = {
  ...describe({
    id: "removeHook",
    tag: "Instances",
    summary: "Take no notifications of an instance any more.",
    description: "Within 5 seconds. Empty webhookUrl in GREEN-API's console, too: it would try for a day.",
    access: admin,
  }),
  params: instanceParams,
  response: {
    204: z.undefined().describe("It takes none."),
    ...problems(admin, "invalid-request", "not-found"),
  },
};

/** `DELETE /v1/instances/{id}/hook` */
export function addRemoveHook(api: ZodApi, { ports }: ApiContext<InstanceHookPorts>): void {
  api.delete(
    "/v1/instances/:id/hook",
    { config: { access: admin }, schema: removeHookSchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      if (await ports.signals.removeSecret(id, toActor(request))) return reply.code(204).send();
      if (!(await ports.instances.find(id))) throw noInstance(id);
      throw new ApiError("not-found", `instance ${id} takes no notifications`);
    },
  );
}
