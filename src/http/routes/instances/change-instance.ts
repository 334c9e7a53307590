import type { Actor } from "../../../domain/audit.ts";
import { toActor } from "../../requests/actor.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { CredentialRefusal } from "../../../domain/judge-credentials.ts";
import type { InstanceSettings, InstanceView } from "../../../domain/views/instance-view.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertVisible, getKey, noInstance } from "../../requests/access.ts";
import { instanceChangesSchema, instanceParams, instanceSchema, toInstance } from "../../schemas/instance.ts";
import { refusedCredentials } from "./refused-credentials.ts";

interface ChangeInstancePorts {
  readonly instances: {
    /** Changes what is given; null takes a setting away. New credentials put a hold to the test at once. */
    change(
      id: InstanceId,
      changes: InstanceSettings & { readonly token?: string | undefined },
      by: Actor,
    ): Promise<
      | { readonly kind: "changed"; readonly after: InstanceView }
      | { readonly kind: "refused"; readonly refusal: CredentialRefusal }
      | { readonly kind: "unknown" }
    >;
  };
}

const admin = { scopes: ["admin"] } as const;

const changeInstanceSchema = {
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
};

/** `PATCH /v1/instances/{id}` */
export function addChangeInstance(api: ZodApi, { ports, now }: ApiContext<ChangeInstancePorts>): void {
  api.patch(
    "/v1/instances/:id",
    { config: { access: admin }, schema: changeInstanceSchema },
    async (request, reply) => {
      const { id } = request.params;
      assertVisible(getKey(request), id);
      const changed = await ports.instances.change(id, request.body, toActor(request));
      if (changed.kind === "unknown") throw noInstance(id);
      if (changed.kind === "refused") throw refusedCredentials(changed.refusal);
      return reply.type("application/json").send(toInstance(changed.after, now()));
    },
  );
}
