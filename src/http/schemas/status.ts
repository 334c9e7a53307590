import { z } from "zod";
import type { InstanceOverview } from "../../domain/views/instance-overview.ts";
import { explainHold } from "../../domain/trouble/hold.ts";
import { instanceIdInput, instanceIdOutput, moment, orNull } from "./common.ts";

const seconds = z.number().min(0);

export const statusQuery = z.strictObject({ instanceId: instanceIdInput.optional() });

export const instanceStatusSchema = z
  .object({
    instanceId: instanceIdOutput,
    label: z.string().nullable(),
    state: z.enum(["active", "held", "paused"]),
    held: z
      .object({
        reason: z.string(),
        text: z.string().meta({ description: "What happened, for people." }),
        advice: z.string().nullable().meta({ description: "What a person should do; null: wait." }),
        since: moment.nullable(),
        until: moment.nullable().meta({ description: "When it is tried next." }),
      })
      .nullable(),
    throttledUntil: moment
      .nullable()
      .meta({ description: "The provider has said to wait; null: it has not." }),
    carePause: z
      .object({ reason: z.enum(["quiet", "capped"]), until: moment })
      .nullable()
      .meta({ description: "It is not called now, for its own good: quiet hours, or its cap of the day." }),
    requestsPerSecond: z.number().meta({ description: "Its budget: calls per second." }),
    callsAllowed: z.number().meta({ description: "What its pace allows now: less after refusals." }),
    callsPerSecond: z.number().meta({ description: "By all workers, on average of the last 10 s." }),
    slowdown: z.number().meta({ description: "The share of its rate that refusals have left it, up to 1." }),
    marginMs: z.number().meta({ description: "Kept on top of each full second of calls." }),
    maxInFlight: z.int().nullable(),
    inFlight: z.int(),
    workers: z.int().meta({ description: "Living processes that have called it of late." }),
    recentCalls: z.int().meta({ description: "Of the last ten minutes." }),
    recentThrottled: z.int().meta({ description: "Of these, refused for being over the rate." }),
    latencyMs: z.number().nullable(),
    stateSeen: z.string().nullable().meta({ description: "What getStateInstance said last." }),
    stateSeenAt: moment.nullable(),
    oldestDueSeconds: seconds
      .nullable()
      .meta({ description: "How long the oldest due contact has waited; null: none is due." }),
    due: z.int().nullable().meta({ description: "Contacts that may be called now; null: not counted yet." }),
    waiting: z.int().nullable().meta({ description: "Contacts in their backoff." }),
    etaSeconds: seconds
      .nullable()
      .meta({ description: "Until no contact waits, if all goes on as now; null where it cannot be told." }),
    history: z
      .array(z.number())
      .meta({ description: "Calls per second of the last five minutes, each for 5 s, the oldest first." }),
  })
  .meta({ id: "InstanceStatus" });

export const statusSchema = z
  .object({ at: moment, items: z.array(instanceStatusSchema) })
  .meta({ id: "Status" });

/** The standing of an instance as the wire has it. */
export function toInstanceStatus(of: InstanceOverview): z.output<typeof instanceStatusSchema> {
  const { heldReason, backlog } = of;
  const explained = heldReason === undefined ? undefined : explainHold(heldReason);
  return {
    instanceId: of.instanceId,
    label: orNull(of.label),
    state: of.state,
    held:
      heldReason !== undefined && explained
        ? {
            reason: heldReason,
            text: explained.text,
            advice: orNull(explained.advice),
            since: orNull(of.heldSince),
            until: orNull(of.heldUntil),
          }
        : null,
    throttledUntil: orNull(of.throttledUntil),
    carePause: of.carePause ?? null,
    requestsPerSecond: round(of.requestsPerSecond),
    callsAllowed: round(of.callsAllowed),
    callsPerSecond: round(of.callsPerSecond),
    slowdown: round(of.slowdown),
    marginMs: Math.round(of.marginMs),
    maxInFlight: orNull(of.maxInFlight),
    inFlight: of.inFlight,
    workers: of.workers,
    recentCalls: of.recentCalls,
    recentThrottled: of.recentThrottled,
    latencyMs: of.latencyMs === undefined ? null : Math.round(of.latencyMs),
    stateSeen: orNull(of.stateSeen),
    stateSeenAt: orNull(of.stateSeenAt),
    oldestDueSeconds:
      of.oldestDueAgeMs === undefined ? null : Math.max(0, Math.round(of.oldestDueAgeMs / 1000)),
    due: backlog ? backlog.due : null,
    waiting: backlog ? backlog.waiting : null,
    etaSeconds: of.etaMs === undefined ? null : Math.round(of.etaMs / 1000),
    history: [...of.history],
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
