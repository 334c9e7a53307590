import type { LeasedInstance, LeaseRefusal, Renewal } from "../../domain/ledger/lease.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import { createCallAllowance, type CallAllowance } from "../lane/call-allowance.ts";
import type { Clock, DatabaseClock } from "../lane/clocks.ts";
import type { Lane } from "../lane/lane.ts";
import { leaseMs } from "./lease-times.ts";

export interface LeasesPorts {
  readonly ledger: Pick<RunLedger, "takeLease" | "renewLeases" | "lookAtLease" | "handOver">;
  /** Does the work while no save is under way: a record must not be written while its contact is marked as in flight. */
  readonly betweenSaves: (instanceId: InstanceId, work: () => Promise<void>) => Promise<void>;
  /** The name of this process. */
  readonly owner: string;
  readonly clock: Clock;
  readonly database: DatabaseClock;
  readonly onError: (where: string, error: unknown) => void;
}

/** A lease that this process holds. */
export interface Lease {
  readonly epoch: number;
  /** As the last renewal has found it. */
  instance: LeasedInstance;
  /** Why the instance must not be called any more. `lost`: the lease belongs to this process no more. */
  refusal: LeaseRefusal | "lost" | undefined;
  /** When the statement was sent that has found it so, by the process's clock. */
  seenAt: number;
  /** Calls since the last renewal. */
  calls: number;
  /** What may leave under it still. */
  readonly allowance: CallAllowance;
}

/** The leases of one process: all are renewed by one statement. */
export interface Leases {
  /** Takes the lease of a lane's instance, or tells why not. @throws what the ledger throws */
  take(lane: Lane): Promise<Lease | LeaseRefusal>;
  /** Gives a lease back, with what the next one must know. Never rejects: it ends by itself otherwise. */
  giveBack(lane: Lane): Promise<void>;
  /** Renews all leases. Never rejects: they end by themselves. */
  renew(): Promise<void>;
  /** Looks how the instance of a lease is set now. Never rejects: the next renewal tells. */
  look(lane: Lane): Promise<void>;
  /** The lease of an instance; undefined: this process does not hold it, or is giving it back. */
  find(instanceId: InstanceId): Lease | undefined;
  readonly size: number;
}

export function createLeases(ports: LeasesPorts): Leases {
  const { ledger, owner, clock, database, onError, betweenSaves } = ports;
  const held = new Map<InstanceId, { readonly lane: Lane; readonly lease: Lease }>();
  /** Two runs of one instance in this process must not both have a lease. */
  const taking = new Set<InstanceId>();
  const leaving = new Set<InstanceId>();

  /** @param renewed the lease that was to be renewed: the process may hold a later one by now */
  function follow(renewal: Renewal, renewed: Lease | undefined, sentAt: number): void {
    const found = held.get(renewal.instanceId);
    if (found === undefined || found.lease !== renewed || renewal.kind === "kept") return;
    const { lane, lease } = found;
    if (renewal.kind === "lost") {
      lease.refusal = "lost";
      lease.allowance.end();
    } else if (sentAt >= lease.seenAt) {
      // The answer of an earlier look may come last.
      lease.seenAt = sentAt;
      lease.instance = renewal.instance;
      lease.refusal = renewal.refusal;
      lane.slots.adapt(renewal.instance, sentAt);
    }
    lane.alarm.wake();
  }

  async function takeFree(lane: Lane): Promise<Lease | LeaseRefusal> {
    const sentAt = clock.now();
    const taken = await ledger.takeLease(lane.instanceId, owner);
    if (taken.kind !== "taken") return taken.kind;
    database.observe(taken.databaseNowMs, clock.now());
    const { epoch, instance } = taken;
    const lease: Lease = {
      epoch,
      instance,
      refusal: undefined,
      seenAt: sentAt,
      calls: 0,
      allowance: createCallAllowance(leaseMs),
    };
    lease.allowance.renew(taken.allowance, sentAt);
    held.set(lane.instanceId, { lane, lease });
    lane.slots.open(taken, lease.allowance);
    return lease;
  }

  return {
    get size() {
      return held.size;
    },
    find: (instanceId) => (leaving.has(instanceId) ? undefined : held.get(instanceId)?.lease),
    async take(lane) {
      const { instanceId } = lane;
      if (held.has(instanceId) || taking.has(instanceId)) return "busy";
      taking.add(instanceId);
      try {
        return await takeFree(lane);
      } finally {
        taking.delete(instanceId);
      }
    },
    async giveBack(lane) {
      const { instanceId } = lane;
      const lease = held.get(instanceId)?.lease;
      if (lease === undefined) return;
      const { epoch, calls } = lease;
      // Nothing leaves any more from here on: what is spent is known.
      const left = lane.slots.close();
      const { spent } = lease.allowance;
      const turns = lane.heads?.turns ?? [0, 0, 0];
      lane.heads = undefined;
      leaving.add(instanceId);
      try {
        await betweenSaves(instanceId, async () => {
          const inFlight = lane.asked.listUnder(epoch);
          await ledger.handOver(owner, { instanceId, epoch, calls, turns, spent, ...left, inFlight });
        });
      } catch (error) {
        onError("hand over", error);
      } finally {
        held.delete(instanceId);
        leaving.delete(instanceId);
      }
    },
    async look({ instanceId }) {
      const lease = held.get(instanceId)?.lease;
      if (lease === undefined) return;
      const sentAt = clock.now();
      try {
        follow(await ledger.lookAtLease(owner, { instanceId, epoch: lease.epoch }), lease, sentAt);
      } catch (error) {
        onError("look at lease", error);
      }
    },
    async renew() {
      const all = [...held].map(([instanceId, { lane, lease }]) => {
        const { epoch, calls, allowance } = lease;
        // Told by this renewal, and by no other one beside it.
        lease.calls = 0;
        const turns = lane.heads?.turns ?? ([0, 0, 0] as const);
        return { instanceId, epoch, calls, turns, spent: allowance.spent, lease };
      });
      if (all.length === 0) return;
      const sentAt = clock.now();
      try {
        const { leases, databaseNowMs } = await ledger.renewLeases(owner, all);
        database.observe(databaseNowMs, clock.now());
        const renewed = new Map(all.map(({ instanceId, lease }) => [instanceId, lease]));
        for (const renewal of leases) {
          const lease = renewed.get(renewal.instanceId);
          // Renewals come one after the other, and so do their days. A look in between tells none.
          if (renewal.kind === "renewed") lease?.allowance.renew(renewal.allowance, sentAt);
          follow(renewal, lease, sentAt);
        }
      } catch (error) {
        for (const { lease, calls } of all) lease.calls += calls;
        onError("renew leases", error);
      }
    },
  };
}
