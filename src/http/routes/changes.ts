import { assertThere, getKey, type FindInstance } from "../requests/access.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ChangePage } from "../../domain/views/contact-view.ts";
import type { ApiContext, ZodApi } from "../context/api-context.ts";
import { decodeNumberCursor, encodeCursor } from "../answers/cursor.ts";
import { answer, describe, problems } from "../openapi/describe.ts";
import { changesQuery, changesSchema, toChange } from "../schemas/contact.ts";

interface ChangesPorts {
  readonly changes: {
    /**
     * Changes after `after`, the oldest first: reading on from `next` misses none and repeats none. `next` is given also with
     * an empty page.
     */
    read(instanceIds: readonly InstanceId[] | undefined, after: number, limit: number): Promise<ChangePage>;
  };
  readonly instances: { readonly find: FindInstance };
}

const read = { scopes: ["read"] } as const;

const listChangesSchema = {
  ...describe({
    id: "listChanges",
    tag: "Changes",
    summary: "The feed of avatar changes, oldest first.",
    description:
      "Keep `next` and ask with it again: it misses no change and repeats none, also across restarts of either side. A page may be empty and there may be more at once: `more` says so. Contacts that are erased take their changes with them. Changes are kept for a year unless AVATARS_KEEP_CHANGES says otherwise: a cursor from longer ago goes on with the oldest change that is kept, without a word about those that were removed.",
    access: read,
  }),
  querystring: changesQuery,
  response: {
    200: answer("A page, and where to read on.", changesSchema),
    ...problems(read, "invalid-request", "invalid-cursor", "not-found"),
  },
};

/** `GET /v1/changes` */
export function addListChanges(api: ZodApi, { ports }: ApiContext<ChangesPorts>): void {
  api.get("/v1/changes", { config: { access: read }, schema: listChangesSchema }, async (request, reply) => {
    const key = getKey(request);
    const { cursor, limit, instanceId } = request.query;
    await assertThere(key, instanceId, ports.instances.find);
    const instanceIds = instanceId === undefined ? key.instanceIds : [instanceId];
    const { items, next, isMore } = await ports.changes.read(
      instanceIds,
      decodeNumberCursor(cursor) ?? 0,
      limit,
    );
    return reply
      .type("application/json")
      .send({ items: items.map(toChange), next: encodeCursor(next), more: isMore });
  });
}
