import { formatRate } from "../../words/format.ts";
import type { InstanceStatus } from "../../data/live.ts";
import { texts } from "../../words/texts.ts";
import { ShareBar } from "./share-bar.tsx";

type Pace = Pick<InstanceStatus, "callsPerSecond" | "requestsPerSecond" | "callsAllowed" | "state">;

/** The share of its budget that an instance uses; a mark where its pace is below the budget for now. */
export function Gauge({ callsPerSecond, requestsPerSecond, callsAllowed, state }: Pace) {
  const toShare = (calls: number) => Math.min(1, calls / Math.max(requestsPerSecond, 0.01));
  const allowed = toShare(callsAllowed);
  const isSlow = state === "active" && allowed < 0.95;
  return (
    <ShareBar
      share={toShare(callsPerSecond)}
      limit={isSlow ? allowed : undefined}
      tone={state !== "active" ? "still" : isSlow ? "slow" : ""}
      label={texts.overview.gauge(formatRate(callsPerSecond), formatRate(requestsPerSecond))}
    >
      <strong>{formatRate(callsPerSecond)}</strong> / {formatRate(requestsPerSecond)}{" "}
      {texts.overview.perSecond}
    </ShareBar>
  );
}
