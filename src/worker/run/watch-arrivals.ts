import type { InstanceId } from "../../domain/instance-id.ts";
import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { Lane } from "../lane/lane.ts";

export interface ArrivalsPorts {
  readonly ledger: Pick<RunLedger, "readArrivals">;
  /** The lane of an instance that this process has worked on. */
  readonly findLane: (instanceId: InstanceId) => Lane | undefined;
}

/** Half of the time from a request to its call that is left, in the mean, beside the wait for a slot. */
export const arrivalsEveryMs = 50;

/**
 * A look at what has arrived, which tells the lanes. One look costs a statement, whatever the number of lanes. What arrived while
 * no run was there is found by the next run, which reads its queues from the beginning.
 */
export function createArrivalsLook({ ledger, findLane }: ArrivalsPorts): () => Promise<void> {
  let horizon: string | undefined;
  /** Those that may be seen once more: their transactions are not older than the horizon. */
  let seen = new Set<number>();
  return async () => {
    const look = await ledger.readArrivals(horizon);
    for (const arrival of look.arrivals)
      if (!seen.has(arrival.id)) findLane(arrival.instanceId)?.arrive(arrival);
    ({ horizon } = look);
    seen = new Set(look.arrivals.map(({ id }) => id));
  };
}
