import type { InstanceView } from "../../domain/views/instance-view.ts";
import type { Config } from "../../config.ts";
import { formatRate, formatShare } from "../terminal/format.ts";

/** The rate that the instance is set to. */
export function describeRate({ requestsPerSecond }: InstanceView, config: Config): string {
  return requestsPerSecond === undefined
    ? `${formatRate(config.requestsPerSecond)} (default)`
    : formatRate(requestsPerSecond);
}

/** How many calls may be in flight. */
export function describeMaxInFlight({ maxInFlight }: InstanceView, config: Config): string {
  if (maxInFlight !== undefined) return String(maxInFlight);
  return config.maxInFlight === undefined
    ? "from the rate and the time that answers take"
    : `${config.maxInFlight} (default)`;
}

/** A share of the calls. @param otherwise where the instance sets none */
export function describeShare(share: number | undefined, otherwise: number): string {
  return share === undefined ? `${formatShare(otherwise)} (default)` : formatShare(share);
}
