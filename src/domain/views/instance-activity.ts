import type { InstanceId } from "../instance-id.ts";

/** The work of one process for one instance at the moment. */
export interface InstanceActivity {
  readonly instanceId: InstanceId;
  readonly inFlight: number;
  /** Calls answered, on average of the last 10 s. */
  readonly callsPerSecond: number;
  /** Calls answered in the last 10 minutes. */
  readonly recentCalls: number;
  /** Calls among them that were refused for being over the rate. */
  readonly recentThrottled: number;
  /** Mean time of an answer of late; undefined before the first one. */
  readonly latencyMs: number | undefined;
}
