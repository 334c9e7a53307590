import type { InstanceActivity } from "../domain/views/instance-activity.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import type { Clock } from "./lane/clocks.ts";
import { toSecond, type LaneCalls } from "./lane/lane-calls.ts";
import type { Lanes } from "./lanes.ts";
import { countRecent, isRecent, toCallsPerSecond } from "./lane/tally.ts";

/** The work of this process since it started, per instance. */
export interface Activity {
  calls(instanceId: InstanceId): number;
  /** Calls answered in the last 10 s, per second; 0 in the first two. */
  callsPerSecond(instanceId: InstanceId): number;
  /** The instances that this process has called in the last 10 minutes. */
  report(): InstanceActivity[];
}

export function createActivity(lanes: Pick<Lanes, "find" | "list">, clock: Clock): Activity {
  const secondNow = () => toSecond(clock.now());
  const startedAt = secondNow();
  const callsPerSecond = ({ tally }: LaneCalls) => toCallsPerSecond(tally, { now: secondNow(), startedAt });
  return {
    calls: (instanceId) => lanes.find(instanceId)?.calls.tally.total ?? 0,
    callsPerSecond(instanceId) {
      const lane = lanes.find(instanceId);
      return lane ? callsPerSecond(lane.calls) : 0;
    },
    report: () =>
      lanes
        .list()
        .filter(({ calls }) => calls.inFlight > 0 || isRecent(calls.tally, secondNow()))
        .map(({ instanceId, calls }) => ({
          instanceId,
          inFlight: calls.inFlight,
          callsPerSecond: callsPerSecond(calls),
          ...countRecent(calls.tally, secondNow()),
          latencyMs: calls.tally.latencyMs,
        })),
  };
}
