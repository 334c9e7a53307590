import { assertThere, canSee, getKey } from "../requests/access.ts";
import type { ApiContext, ZodApi } from "../context/api-context.ts";
import type { InstancePorts, ResyncPorts } from "../context/ports.ts";
import { decodeNumberCursor, encodeCursor } from "../answers/cursor.ts";
import { answer, describe, problems } from "../openapi/describe.ts";
import { planQuery, planSchema, runListQuery, runListSchema, toPlan, toRun } from "../schemas/resync.ts";

interface ResyncRoutePorts {
  readonly instances: Pick<InstancePorts, "find">;
  readonly resync: ResyncPorts;
}

const read = { scopes: ["read"] } as const;

const getResyncPlanSchema = {
  ...describe({
    id: "getResyncPlan",
    tag: "Resync",
    summary: "What is due, and how far the next window gets.",
    description: "Counting many contacts takes seconds: it may be half a minute old.",
    access: read,
  }),
  querystring: planQuery,
  response: {
    200: answer("Of each instance that the key may see.", planSchema),
    ...problems(read, "invalid-request", "not-found"),
  },
};

/** `GET /v1/resync/plan` */
export function addGetResyncPlan(api: ZodApi, { ports }: ApiContext<ResyncRoutePorts>): void {
  api.get(
    "/v1/resync/plan",
    { config: { access: read }, schema: getResyncPlanSchema },
    async (request, reply) => {
      const key = getKey(request);
      const { instanceId } = request.query;
      await assertThere(key, instanceId, ports.instances.find);
      const { now, window, instances } = await ports.resync.plan();
      const visible = instances.filter(
        ({ instanceId: id }) => canSee(key, id) && (instanceId === undefined || id === instanceId),
      );
      return reply.type("application/json").send(toPlan(now, window, visible));
    },
  );
}

const listResyncRunsSchema = {
  ...describe({
    id: "listResyncRuns",
    tag: "Resync",
    summary: "Nights and other stretches of refreshing, newest first.",
    description: "Each is of one instance. Kept as long as changes are.",
    access: read,
  }),
  querystring: runListQuery,
  response: {
    200: answer("A page.", runListSchema),
    ...problems(read, "invalid-request", "invalid-cursor", "not-found"),
  },
};

/** `GET /v1/resync/runs` */
export function addListResyncRuns(api: ZodApi, { ports }: ApiContext<ResyncRoutePorts>): void {
  api.get(
    "/v1/resync/runs",
    { config: { access: read }, schema: listResyncRunsSchema },
    async (request, reply) => {
      const key = getKey(request);
      const { instanceId, kind, cursor, limit } = request.query;
      await assertThere(key, instanceId, ports.instances.find);
      const { items, next } = await ports.resync.listRuns(
        { instanceIds: instanceId === undefined ? key.instanceIds : [instanceId], kind },
        { after: decodeNumberCursor(cursor), limit },
      );
      return reply
        .type("application/json")
        .send({ items: items.map(toRun), next: next === undefined ? null : encodeCursor(next) });
    },
  );
}
