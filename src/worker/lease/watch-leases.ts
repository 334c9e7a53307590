import type { SeenLease } from "../../domain/ledger/lease.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { BackgroundTask } from "../../lib/start-tasks.ts";
import type { Clock } from "../lane/clocks.ts";
import { deadAfterMs, watchEveryMs } from "./lease-times.ts";

export interface LeaseWatchPorts {
  readonly ledger: Pick<RunLedger, "listLeases" | "endDeadLeases">;
  readonly owner: string;
  readonly clock: Clock;
  /** Queues a run for each, also where the dead process's own is still active. */
  readonly wakeInstances: (ids: readonly InstanceId[], after: "dead-lease") => Promise<void>;
}

/**
 * The task that ends leases of dead processes. A lease is dead when it was not renewed for longer than it lasts, as this process
 * has seen it: no clock of another machine is believed. Any number of processes may watch.
 */
export function createLeaseWatch({ ledger, owner, clock, wakeInstances }: LeaseWatchPorts): BackgroundTask {
  let seen = new Map<InstanceId, SeenLease & { readonly since: number }>();
  return {
    name: "end dead leases",
    everyMs: watchEveryMs,
    async run() {
      const leases = await ledger.listLeases(owner);
      const now = clock.now();
      seen = new Map(
        leases.map((lease) => {
          const before = seen.get(lease.instanceId);
          const isSame = before?.mark === lease.mark && before.epoch === lease.epoch;
          return [lease.instanceId, { ...lease, since: isSame ? before.since : now }];
        }),
      );
      const dead = [...seen.values()].filter(({ since }) => now - since >= deadAfterMs);
      if (dead.length === 0) return;
      await wakeInstances(await ledger.endDeadLeases(dead), "dead-lease");
    },
  };
}
