import { z } from "zod";
import type { CountByCause, PlanWindow, ResyncPlan } from "../../domain/resync/plan-resync.ts";
import { resyncEnds, resyncKinds, type ResyncRun } from "../../domain/resync/resync-run.ts";
import { instanceIdInput, instanceIdOutput, moment, nextCursor, orNull, pageQuery } from "./common.ts";

const count = z.int().min(0);

const countsSchema = z
  .object({
    requested: count.meta({ description: "A person has asked for them." }),
    neverAsked: count,
    expiringUrl: count.meta({ description: "Their URL is about to expire." }),
    age: count.meta({ description: "Asked long enough ago." }),
    total: count,
  })
  .meta({ id: "CountByCause" });

export const planQuery = z.strictObject({ instanceId: instanceIdInput.optional() });

const instancePlanSchema = z
  .object({
    instanceId: instanceIdOutput,
    state: z.enum(["active", "held", "paused"]),
    dueNow: countsSchema,
    due: countsSchema.meta({
      description: "To be asked in the window: due by its end, without what is asked until it begins.",
    }),
    calls: count.meta({ description: "Calls that the resync has in the window." }),
    fits: count.meta({ description: "How many of `due` these are enough for." }),
    finishesAt: moment.nullable().meta({ description: "When the last of those has been asked." }),
    leftOver: countsSchema.meta({ description: "Those that wait longer: worth least." }),
    waitsUntil: moment.nullable().meta({
      description:
        "When the last of those is asked, if no others come before; null: none, or not within 60 windows.",
    }),
    stretch: z.number().meta({
      description:
        "How late the latest contact is, as a multiple of its interval: 1 when the calls suffice; at 1.5 one that should be asked every 7 days is asked every 10.5.",
    }),
  })
  .meta({ id: "InstanceResyncPlan" });

export const planSchema = z
  .object({
    at: moment.meta({ description: "When it was worked out; it may be half a minute old." }),
    window: z
      .object({ from: moment, until: moment })
      .nullable()
      .meta({ description: "The window that has begun, or the next; null: nights are switched off." }),
    items: z.array(instancePlanSchema),
  })
  .meta({ id: "ResyncPlan" });

const runSchema = z
  .object({
    id: z.int(),
    instanceId: instanceIdOutput,
    kind: z.enum(resyncKinds).meta({
      description: "`trickle`: between two nights; `manual`: a person has asked for it.",
    }),
    nightAt: moment.nullable().meta({ description: "The moment of the schedule." }),
    openedAt: moment,
    endedAt: moment.nullable().meta({ description: "Null: it is open." }),
    endedBy: z.enum(resyncEnds).nullable().meta({ description: "Why it stopped." }),
    due: count
      .nullable()
      .meta({ description: "Contacts due when it was planned or until its end; null: not planned." }),
    planned: count.nullable().meta({ description: "How many of them fit into its calls." }),
    asked: count.meta({ description: "Contacts that have had their answer, or none after all attempts." }),
    underWay: count,
    changed: count.meta({ description: "Answers that brought another avatar." }),
    throttled: count.meta({
      description: "Calls of the instance that were refused meanwhile for being over the rate.",
    }),
    leftOver: count.nullable().meta({ description: "Contacts that were due when it ended." }),
  })
  .meta({ id: "ResyncRun" });

export const runListQuery = pageQuery.extend({
  instanceId: instanceIdInput.optional(),
  kind: z.enum(resyncKinds).optional(),
});
export const runListSchema = z
  .object({ items: z.array(runSchema), next: nextCursor })
  .meta({ id: "ResyncRunList" });

/** The plan as the wire has it. */
export function toPlan(
  at: Date,
  window: PlanWindow | undefined,
  plans: readonly ResyncPlan[],
): z.output<typeof planSchema> {
  return {
    at,
    window: window ? { from: window.from, until: window.until } : null,
    items: plans.map((plan) => ({
      instanceId: plan.instanceId,
      state: plan.state,
      dueNow: toCounts(plan.dueNow),
      due: toCounts(plan.due),
      calls: plan.calls,
      fits: plan.fits,
      finishesAt: orNull(plan.finishesAt),
      leftOver: toCounts(plan.leftOver),
      waitsUntil: orNull(plan.waitsUntil),
      stretch: Number(plan.stretch.toFixed(2)),
    })),
  };
}

function toCounts(counts: CountByCause): z.output<typeof countsSchema> {
  const { requested, age } = counts;
  const [neverAsked, expiringUrl] = [counts["never-asked"], counts["expiring-url"]];
  return { requested, neverAsked, expiringUrl, age, total: requested + neverAsked + expiringUrl + age };
}

/** The run as the wire has it. */
export function toRun(run: ResyncRun): z.output<typeof runSchema> {
  return {
    ...run,
    nightAt: orNull(run.nightAt),
    endedAt: orNull(run.endedAt),
    endedBy: orNull(run.endedBy),
    due: orNull(run.due),
    planned: orNull(run.planned),
    leftOver: orNull(run.leftOver),
  };
}
