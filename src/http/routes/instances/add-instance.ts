import type { Actor } from "../../../domain/audit.ts";
import { toActor } from "../../requests/actor.ts";
import { ApiError } from "../../answers/problem.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { InstanceSettings } from "../../../domain/views/instance-view.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { noInstance, type FindInstance } from "../../requests/access.ts";
import { instanceSchema, newInstanceSchema, toInstance } from "../../schemas/instance.ts";
import { refusedCredentials } from "./refused-credentials.ts";

interface AddInstancePorts {
  readonly instances: {
    readonly find: FindInstance;
    /** `known`: there is one with this id already, and it stays. `untrusted-host`: no apiUrl over HTTP may point there. */
    add(
      instance: InstanceSettings & {
        readonly id: InstanceId;
        readonly apiUrl: string;
        readonly token: string;
      },
      by: Actor,
    ): Promise<"added" | "known" | "untrusted-host">;
  };
}

/** Instances to come are not among those that a key is limited to. */
const adminOfAll = { scopes: ["admin"], allInstances: true } as const;

const addInstanceSchema = {
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
};

/** `POST /v1/instances` */
export function addAddInstance(api: ZodApi, { ports, now }: ApiContext<AddInstancePorts>): void {
  const { instances } = ports;
  api.post(
    "/v1/instances",
    { config: { access: adminOfAll }, schema: addInstanceSchema },
    async (request, reply) => {
      const { body } = request;
      const outcome = await instances.add(body, toActor(request));
      if (outcome === "untrusted-host") throw refusedCredentials(outcome);
      if (outcome === "known") {
        throw new ApiError("conflict", `instance ${body.id} is there already: change it with PATCH`);
      }
      const added = await instances.find(body.id);
      if (!added) throw noInstance(body.id);
      return reply
        .code(201)
        .header("location", `/v1/instances/${body.id}`)
        .type("application/json")
        .send(toInstance(added, now()));
    },
  );
}
