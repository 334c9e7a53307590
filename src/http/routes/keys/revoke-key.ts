import type { Actor } from "../../../domain/audit.ts";
import { ApiError } from "../../answers/problem.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { toActor } from "../../requests/actor.ts";
import { describe, problems } from "../../openapi/describe.ts";
import { keyParams } from "../../schemas/api-key.ts";
import { z } from "zod";

interface RevokeKeyPorts {
  readonly keys: {
    /** False: there is no such key. */
    revoke(id: string, by: Actor): Promise<boolean>;
  };
}

const ofAll = { scopes: ["keys"], allInstances: true } as const;

const revokeKeySchema = {
  ...describe({
    id: "revokeKey",
    tag: "Keys",
    summary: "Revoke a key for ever.",
    description: "Within 5 seconds it opens nothing. Sessions of the console end with it, at once.",
    access: ofAll,
  }),
  params: keyParams,
  response: {
    204: z.undefined().describe("It is revoked."),
    ...problems(ofAll, "invalid-request", "not-found"),
  },
};

/** `DELETE /v1/keys/{id}` */
export function addRevokeKey(api: ZodApi, { ports }: ApiContext<RevokeKeyPorts>): void {
  api.delete(
    "/v1/keys/:id",
    { config: { access: ofAll }, schema: revokeKeySchema },
    async (request, reply) => {
      const { id } = request.params;
      if (!(await ports.keys.revoke(id, toActor(request))))
        throw new ApiError("not-found", `there is no key ${id}`);
      return reply.code(204).send();
    },
  );
}
