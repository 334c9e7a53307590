import { simulatedInstanceId } from "../../domain/instance-id.ts";
import { findInstanceRemark } from "../../domain/instance-remark.ts";
import type { InstanceStatus } from "../../domain/views/instance-status.ts";
import { explainHold } from "../../domain/trouble/hold.ts";
import { describeCarePause } from "./care-text.ts";
import { formatRate, formatMoment } from "../terminal/format.ts";

/** Whatever its state: the next `enrich --simulate` takes it up as it is, so that there is nothing to advise. */
const simulatedRemark = "is the built-in simulator's, not GREEN-API's: only enrich --simulate calls it";

/** Remarks on what is out of the ordinary. Each is read behind the instance. */
export function toRemarks(status: InstanceStatus): string[] {
  const { instanceId, state, heldReason, heldSince, heldUntil, throttledUntil } = status;
  if (instanceId === simulatedInstanceId) return [simulatedRemark];
  const lasting = findInstanceRemark(instanceId);
  const remarks = lasting === undefined ? [] : [lasting];
  if (state === "paused") remarks.push(`is paused: go on with avatars instance resume ${instanceId}`);
  if (state === "held" && heldReason !== undefined) {
    const { text, advice } = explainHold(heldReason);
    const since = heldSince ? ` since ${heldSince.toISOString()}` : "";
    const until = heldUntil ? `; next try ${formatMoment(heldUntil)}` : "";
    remarks.push(`is held${since}: ${text}${until}${advice ? `; ${advice}` : ""}`);
  }
  if (throttledUntil) {
    remarks.push(
      `is refused by the provider for being over the rate: next call ${formatMoment(throttledUntil)}`,
    );
  }
  if (status.carePause && state !== "paused") remarks.push(describeCarePause(status.carePause, status));
  const pace = describePace(status);
  if (pace !== undefined) remarks.push(pace);
  if (status.stalled) remarks.push("has due contacts and no worker works on them: start avatars worker");
  return remarks;
}

/** Why it is called more slowly than it is set to; undefined where it is not. */
function describePace({ callsAllowed, slowdown, state }: InstanceStatus): string | undefined {
  if (state === "paused") return undefined;
  if (slowdown < 1) {
    return `is slowed to ${formatRate(callsAllowed)}/s after refusals, and tries more by itself before long`;
  }
  return undefined;
}
