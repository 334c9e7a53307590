import { assertThere, canSee, getKey, type FindInstance } from "../requests/access.ts";
import type { ResyncForecast } from "../../domain/resync/plan-resync.ts";
import type { RunFilter, RunPage } from "../../domain/resync/resync-run.ts";
import type { ApiContext, ZodApi } from "../context/api-context.ts";
import { decodeNumberCursor, encodeCursor } from "../answers/cursor.ts";
import { answer, describe, problems } from "../openapi/describe.ts";
import { planQuery, planSchema, runListQuery, runListSchema, toPlan, toRun } from "../schemas/resync.ts";

interface ResyncPlanPorts {
  readonly instances: { readonly find: FindInstance };
  readonly resyncs: {
    /** Plans for all instances. The plan may be half a minute old. */
    planShared(): Promise<ResyncForecast>;
  };
}

interface ResyncRunsPorts {
  readonly instances: { readonly find: FindInstance };
  readonly resyncs: {
    /** The newest first. */
    listRuns(
      filter: RunFilter,
      page: { readonly after: number | undefined; readonly limit: number },
    ): Promise<RunPage>;
  };
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
export function addGetResyncPlan(api: ZodApi, { ports }: ApiContext<ResyncPlanPorts>): void {
  api.get(
    "/v1/resync/plan",
    { config: { access: read }, schema: getResyncPlanSchema },
    async (request, reply) => {
      const key = getKey(request);
      const { instanceId } = request.query;
      await assertThere(key, instanceId, ports.instances.find);
      const { now, window, instances } = await ports.resyncs.planShared();
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
export function addListResyncRuns(api: ZodApi, { ports }: ApiContext<ResyncRunsPorts>): void {
  api.get(
    "/v1/resync/runs",
    { config: { access: read }, schema: listResyncRunsSchema },
    async (request, reply) => {
      const key = getKey(request);
      const { instanceId, kind, cursor, limit } = request.query;
      await assertThere(key, instanceId, ports.instances.find);
      const { items, next } = await ports.resyncs.listRuns(
        { instanceIds: instanceId === undefined ? key.instanceIds : [instanceId], kind },
        { after: decodeNumberCursor(cursor), limit },
      );
      return reply
        .type("application/json")
        .send({ items: items.map(toRun), next: next === undefined ? null : encodeCursor(next) });
    },
  );
}
