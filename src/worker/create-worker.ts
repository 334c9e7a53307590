import { setMaxListeners } from "node:events";
import type { ContactDecision, RetryPolicy } from "../domain/lookup/decide.ts";
import type { ProbePolicy } from "../domain/trouble/hold.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { planRefresh, type RefreshPolicy } from "../domain/refresh/refresh-policy.ts";
import type { LookupRecord } from "../domain/ledger/lookup-record.ts";
import type { RunLedger } from "../domain/ledger/run-ledger.ts";
import { once } from "../lib/closing/once.ts";
import type { BackgroundTask } from "../lib/start-tasks.ts";
import { settleWithin } from "../lib/deadline.ts";
import { createActivity, type Activity } from "./activity.ts";
import { createLanes, type LaneEvents, type LanesPorts } from "./lanes.ts";
import { createLeases } from "./lease/leases.ts";
import { renewEveryMs } from "./lease/lease-times.ts";
import type { Call } from "./run/call.ts";
import { createDatabaseClock } from "./lane/clocks.ts";
import { createDueReader } from "./run/due-reader.ts";
import { anywhere } from "./lane/due-heads.ts";
import { runInstance, type RunEnd, type RunPorts, type RunSettings } from "./run/instance-run.ts";
import type { Lane } from "./lane/lane.ts";
import { createSaveBuffer } from "./run/save-buffer.ts";
import { arrivalsEveryMs, createArrivalsLook } from "./run/watch-arrivals.ts";
import type { HowSettled, RecordWriterPorts, SaveEvents } from "./run/write-records.ts";

export interface WorkerPorts
  extends
    Pick<LanesPorts, "getAvatar" | "openToken" | "getState" | "wakeAfter">,
    Pick<RecordWriterPorts, "isTransient" | "offerImages">,
    Pick<RunPorts, "clock" | "othersWait" | "random"> {
  readonly ledger: RunLedger;
  /** The name under which this process holds leases. */
  readonly owner: string;
  readonly settings: RunSettings & {
    readonly retry: RetryPolicy;
    readonly probe: ProbePolicy;
    readonly refresh: RefreshPolicy;
  };
  readonly events: WorkerEvents;
}

export interface WorkerEvents extends SaveEvents, LaneEvents {}

/** The instance runs of one process. */
export interface AvatarWorker {
  /** Has one instance run; resolves when the run has handed over or found nothing to do. */
  run(instanceId: InstanceId, signal: AbortSignal): Promise<RunEnd>;
  /** Contacts of the instance may have become due. False: this process has no run of it. */
  look(instanceId: InstanceId): boolean;
  readonly activity: Activity;
  callsInFlight(): number;
  /** What keeps the runs going: renews the leases, and looks for arrivals. To be run until the worker has stopped. */
  readonly tasks: readonly BackgroundTask[];
  /**
   * Waits for calls in flight as long as `graceMs`, then abandons them: their contacts are due again, with no
   * attempt spent. Saves what there is to save. Runs must have been stopped before. To stop twice is harmless.
   */
  stop(graceMs: number): Promise<void>;
}

/** The time for what has to be written after the grace period is over. */
const lastSaveMs = 5_000;

/** A contact whose record Postgres refuses is asked again after this long: it may be refused for ever. */
const refusedPauseMs = 30_000;

export function createWorker(ports: WorkerPorts): AvatarWorker {
  const { ledger, clock, settings, events, owner } = ports;
  const abandoning = new AbortController();
  const { signal } = abandoning;
  // The signal has a listener for each instance whose state is waited for: that is no leak.
  setMaxListeners(0, signal);
  const policy = { ...settings.retry, ...settings.probe };
  const database = createDatabaseClock();
  const onError = (where: string, error: unknown) => events.ledgerFailed({ where }, error);
  const reader = createDueReader(ledger, clock);
  const saves = createSaveBuffer({ ...ports, settled });
  const leases = createLeases({ ledger, owner, clock, database, onError, betweenSaves: saves.between });
  const lanes = createLanes({ ...ports, database, policy, save, signal, betweenSaves: saves.between });
  const settleCalls = async (ms: number) =>
    settleWithin(Promise.all(lanes.list().map(({ calls }) => calls.settle())), ms);
  const lookForArrivals = createArrivalsLook({ ledger, findLane: lanes.find });
  // The first look tells from when on arrivals are seen: before any run reads its queues.
  const beginToLook = onceDone(lookForArrivals);

  const isPresent = ({ instanceId }: Lane, epoch: number) => leases.find(instanceId)?.epoch === epoch;

  function save(lane: Lane, call: Call, decision: ContactDecision): void {
    const { contact, epoch, askedAtMs } = call;
    const { contactId } = contact;
    // The row of such a contact is as it was: there is nothing to write.
    if (decision.kind === "release" && decision.error === undefined && isPresent(lane, epoch))
      return lane.putBack(contact);
    const refresh = planRefresh(contact, decision, new Date(askedAtMs), settings.refresh);
    saves.add({ contactId, instanceId: lane.instanceId, epoch, askedAtMs, decision, refresh, contact });
    if (decision.kind === "retry") ports.wakeAfter(lane.instanceId, decision.dueInMs);
  }

  /** A release leaves the contact where it was in its queue. The holder of a later lease has passed it by, perhaps. */
  function settled(records: readonly LookupRecord[], how: HowSettled): void {
    for (const record of records) settle(record, how);
    const left = records.filter(
      ({ instanceId, decision }) =>
        (decision.kind === "release" || how === "asked-anew") && leases.find(instanceId) === undefined,
    );
    const ids = new Set(left.map(({ instanceId }) => instanceId));
    if (ids.size > 0)
      ledger.noteArrivals([...ids]).catch((error: unknown) => onError("note arrivals", error));
  }

  function settle({ contactId, instanceId, decision, contact }: LookupRecord, how: HowSettled): void {
    const { lane } = lanes.get(instanceId);
    if (how === "saved" && decision.kind !== "release") return lane.settle(contactId);
    const end = () => (contact ? lane.putBack(contact) : lane.settle(contactId));
    if (how === "refused") setTimeout(end, refusedPauseMs).unref();
    else if (decision.kind === "release") end();
    else {
      lane.settle(contactId);
      // It may be in another queue by now.
      lane.arrive(anywhere);
    }
  }

  return {
    async run(instanceId, stopping) {
      const { lane, breaker, call } = lanes.get(instanceId);
      const runPorts = { ...ports, leases, reader, database, call, isBehind: () => saves.isBehind };
      await beginToLook();
      lane.hasMissed = false;
      const end = await runInstance(runPorts, lane, stopping);
      breaker.runEnded(end);
      if (end !== "idle") return end;
      // What arrived meanwhile was told to a queue that has this run as active still, and ignores it.
      await lookForArrivals();
      return lane.hasMissed ? "sliced" : end;
    },
    look: (instanceId) => lanes.find(instanceId)?.arrive() ?? false,
    activity: createActivity(lanes, clock),
    callsInFlight: () => lanes.list().reduce((sum, { calls }) => sum + calls.inFlight, 0),
    tasks: [
      { name: "renew leases", everyMs: renewEveryMs, run: leases.renew },
      {
        name: "look for arrivals",
        everyMs: arrivalsEveryMs,
        run: async () => void (leases.size > 0 && (await lookForArrivals())),
        restMs: renewEveryMs,
      },
    ],
    stop: once(async (graceMs: number) => {
      await settleCalls(graceMs);
      // The breakers come first: a call that is abandoned says nothing of its instance.
      lanes.stop();
      abandoning.abort();
      await settleCalls(lastSaveMs);
      await saves.drain(AbortSignal.timeout(lastSaveMs));
    }),
  };
}

/** Calls `work` until it has succeeded once. Callers meanwhile share one try. */
function onceDone(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return async () => {
    done ??= work().catch((error: unknown) => {
      done = undefined;
      throw error;
    });
    return done;
  };
}
