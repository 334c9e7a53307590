import { formatRate } from "../words/format.ts";
import type { InstanceStatus } from "../data/live.ts";
import { texts } from "../words/texts.ts";

type Pace = Pick<InstanceStatus, "callsPerSecond" | "requestsPerSecond" | "callsAllowed" | "state">;

/** The share of its budget that an instance uses; a mark where its pace is below the budget for now. */
export function Gauge({ callsPerSecond, requestsPerSecond, callsAllowed, state }: Pace) {
  const share = Math.min(1, callsPerSecond / Math.max(requestsPerSecond, 0.01));
  const allowed = Math.min(1, callsAllowed / Math.max(requestsPerSecond, 0.01));
  const isSlow = state === "active" && allowed < 0.95;
  const words = texts.overview.gauge(formatRate(callsPerSecond), formatRate(requestsPerSecond));
  return (
    <div class="gauge">
      <svg viewBox="0 0 100 5" preserveAspectRatio="none" role="img" aria-label={words}>
        <rect class="track" width="100" height="5" />
        <rect
          class={`fill${isSlow ? " slow" : ""}${state === "active" ? "" : " still"}`}
          width={Math.max(share * 100, callsPerSecond > 0 ? 2 : 0)}
          height="5"
        />
        {isSlow && <line class="limit" x1={allowed * 100} x2={allowed * 100} y1="0" y2="5" />}
      </svg>
      <div class="words" aria-hidden="true">
        <span>
          <strong>{formatRate(callsPerSecond)}</strong> / {formatRate(requestsPerSecond)}{" "}
          {texts.overview.perSecond}
        </span>
        <span>{Math.round(share * 100)} %</span>
      </div>
    </div>
  );
}
