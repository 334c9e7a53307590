import { findCarePause, findInteractivePause } from "../../../domain/care/care-pause.ts";
import { toCareFacts } from "../../../domain/care/care-view.ts";
import type { InstanceView } from "../../../domain/views/instance-view.ts";
import type { RefreshStop } from "../../schemas/contact.ts";

/**
 * Why a contact of the instance is not asked now, and until when; undefined: it is.
 * @param isInteractive a person asks for it: quiet hours may be none then
 */
export function findStop(instance: InstanceView, now: Date, isInteractive: boolean): RefreshStop | undefined {
  const { state, heldUntil } = instance;
  if (state === "paused") return { reason: "paused", until: null };
  if (state === "held" && heldUntil !== undefined && heldUntil > now)
    return { reason: "held", until: heldUntil };
  const care = toCareFacts(instance);
  return isInteractive ? findInteractivePause(care, now) : findCarePause(care, now);
}
