import { setMaxListeners } from "node:events";
import type { ContactDecision, RetryPolicy } from "../domain/lookup/decide.ts";
import type { ProbePolicy } from "../domain/trouble/hold.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { planRefresh, type RefreshPolicy } from "../domain/refresh/refresh-policy.ts";
import type { RunLedger } from "../domain/ledger/run-ledger.ts";
import { once } from "../lib/closing/once.ts";
import { createCallsInFlight } from "./calls-in-flight.ts";
import { createContactCalls, type ContactCallEvents, type ContactCallsPorts } from "./contact-calls.ts";
import { keepClaims } from "./keep-claims.ts";
import { createLanes, type LaneEvents, type LanesPorts } from "./lanes.ts";
import type { Call } from "./run/call.ts";
import type { Clock } from "./run/clocks.ts";
import { runInstance, type RunSettings } from "./run/instance-run.ts";
import type { RunEnd } from "./run/run-stop.ts";
import { createSaveBuffer } from "./run/save-buffer.ts";
import type { RecordWriterPorts, SaveEvents } from "./run/write-records.ts";

export interface WorkerPorts
  extends Pick<ContactCallsPorts, "getAvatar" | "openToken">, Pick<LanesPorts, "getState" | "wakeAfter"> {
  readonly ledger: RunLedger;
  readonly isTransient: (error: unknown) => boolean;
  readonly offerImages?: RecordWriterPorts["offerImages"];
  /** Does any instance wait for its run? */
  readonly othersWait: () => Promise<boolean>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: RunSettings & {
    readonly retry: RetryPolicy;
    readonly probe: ProbePolicy;
    readonly refresh: RefreshPolicy;
    readonly claimLeaseMs: number;
  };
  readonly events: WorkerEvents;
}

export interface WorkerEvents extends SaveEvents, ContactCallEvents, LaneEvents {}

/** The instance runs of one process. */
export interface AvatarWorker {
  /** Has one instance run; resolves when the run has handed over or found nothing to do. */
  run(instanceId: InstanceId, signal: AbortSignal): Promise<RunEnd>;
  callsInFlight(): number;
  /**
   * Waits for calls in flight as long as `graceMs`, then abandons them: their contacts are due again, with no
   * attempt spent. Saves what there is to save. Runs must have been stopped before. To stop twice is harmless.
   */
  stop(graceMs: number): Promise<void>;
}

/** The time for what has to be written after the grace period is over. */
const lastSaveMs = 5_000;

export function createWorker(ports: WorkerPorts): AvatarWorker {
  const { ledger, clock, settings, events, random, othersWait } = ports;
  const abandoning = new AbortController();
  const { signal } = abandoning;
  // The signal has a listener for every call in flight: that is no leak.
  setMaxListeners(0, signal);
  const policy = { ...settings.retry, ...settings.probe };
  const saves = createSaveBuffer(ports);
  const inFlight = createCallsInFlight(clock);
  const lanes = createLanes({ ...ports, policy, save, signal });
  const callContact = createContactCalls({ ...ports, policy, save, signal });

  function save({ contact, runId, askedAtMs }: Call, decision: ContactDecision): void {
    const refresh = planRefresh(contact, decision, new Date(askedAtMs), settings.refresh);
    saves.add({ contactId: contact.contactId, runId, askedAtMs, decision, refresh });
  }

  const stopKeeping = keepClaims({
    ledger,
    leaseMs: settings.claimLeaseMs,
    listClaims: (olderThanMs) => [
      ...inFlight.listOlderThan(olderThanMs),
      ...lanes.listWaiting(),
      ...saves.listUnsaved(),
    ],
    onError: (error) => events.ledgerFailed({ where: "extend claims" }, error),
  });

  return {
    async run(instanceId, stopping) {
      const guarded = lanes.get(instanceId);
      const call = (next: Call) => {
        const claim = { contactId: next.contact.contactId, runId: next.runId };
        return inFlight.add(callContact(guarded, next), claim);
      };
      const runPorts = { ledger, clock, settings, othersWait, random, call };
      const end = await runInstance(runPorts, guarded.lane, stopping);
      guarded.breaker.runEnded(end);
      return end;
    },
    callsInFlight: () => inFlight.size,
    stop: once(async (graceMs: number) => {
      await inFlight.settle(graceMs);
      // The breakers come first: a call that is abandoned says nothing of its instance.
      lanes.stop();
      abandoning.abort();
      await inFlight.settle(lastSaveMs);
      await saves.drain(AbortSignal.timeout(lastSaveMs));
      stopKeeping();
    }),
  };
}
