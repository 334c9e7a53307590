import type { InstanceActivity } from "../domain/views/instance-activity.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import type { Clock } from "./lane/clocks.ts";
import { toSecond, type LaneCalls } from "./lane/lane-calls.ts";
import { countRecent, isRecent, toCallsPerSecond } from "./lane/tally.ts";

/** The work of this process since it started, per instance. */
export interface Activity {
  calls(instanceId: InstanceId): number;
  /** Calls answered in the last 10 s, per second; 0 in the first two. */
  callsPerSecond(instanceId: InstanceId): number;
  /** The instances that this process has called in the last 10 minutes. */
  report(): InstanceActivity[];
}

/** @param calls of the lanes, as they come */
export function createActivity(calls: ReadonlyMap<InstanceId, LaneCalls>, clock: Clock): Activity {
  const secondNow = () => toSecond(clock.now());
  const startedAt = secondNow();
  const callsPerSecond = ({ tally }: LaneCalls) => toCallsPerSecond(tally, { now: secondNow(), startedAt });
  return {
    calls: (instanceId) => calls.get(instanceId)?.tally.total ?? 0,
    callsPerSecond(instanceId) {
      const known = calls.get(instanceId);
      return known ? callsPerSecond(known) : 0;
    },
    report: () =>
      [...calls]
        .filter(([, { inFlight, tally }]) => inFlight > 0 || isRecent(tally, secondNow()))
        .map(([instanceId, ofLane]) => ({
          instanceId,
          inFlight: ofLane.inFlight,
          callsPerSecond: callsPerSecond(ofLane),
          ...countRecent(ofLane.tally, secondNow()),
          latencyMs: ofLane.tally.latencyMs,
        })),
  };
}
