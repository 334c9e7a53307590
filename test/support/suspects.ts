import type { HoldReason } from "../../src/domain/trouble/hold.ts";
import type { Ground } from "../../src/domain/trouble/suspect.ts";

/** What an instance is held for on each ground. */
export function toHoldReason(ground: Ground): HoldReason {
  if (ground === "silence") return "timing-out";
  return ground === "failure" ? "failing" : ground;
}
