import { setImmediate as nextTurn } from "node:timers/promises";
import { toChatKind } from "../../domain/chat-kind.ts";
import type { ChatId } from "../../domain/chat-id.ts";
import type { LeasedInstance, LeaseRefusal } from "../../domain/ledger/lease.ts";
import { defaultMaxInFlight } from "../../domain/pace/max-in-flight.ts";
import { slotSpacingMs } from "../../domain/pace/pacer.ts";
import type { Lease, Leases } from "../lease/leases.ts";
import type { Call } from "./call.ts";
import { createDueContacts, type DueContacts, type DueContactsPorts } from "./due-contacts.ts";
import type { Lane } from "../lane/lane.ts";
import { beginSlice, type Slice } from "./slice.ts";

export interface RunSettings {
  /** A run hands over to the next instance after this long, if one waits. */
  readonly sliceMs: number;
  /** Calls in flight at most, for an instance that sets none; undefined: from its rate and the time of its answers. */
  readonly maxInFlight: number | undefined;
  readonly oldestShare: number;
}

export interface RunPorts extends DueContactsPorts {
  readonly leases: Pick<Leases, "take" | "giveBack" | "look">;
  readonly settings: RunSettings;
  /** Records wait to be saved in such a number that no more should come. */
  readonly isBehind: () => boolean;
  /** Does any instance wait for its turn? */
  readonly othersWait: () => Promise<boolean>;
  /**
   * Sends the call for a contact whose slot has come; its end is the lane's business, not the run's. Resolves when all
   * that follows from it is done; never rejects.
   */
  readonly call: (call: Call) => Promise<void>;
}

/**
 * Why a run ended. `idle`: nothing is due now; `lost`: the lease could not be renewed in time, or belongs to another process. Only
 * after `sliced` does work surely remain.
 */
export type RunEnd = LeaseRefusal | "idle" | "sliced" | "stopped" | "lost";

/** A run looks around this often, whatever it waits for. */
const lookEveryMs = 1_000;
/** A run that waits until records are saved asks this often. */
const behindLookMs = 20;
/** Calls that are sent without a look at the answers, at most. */
const mostPerTurn = 8;
/** A run that has nothing to send but waits for answers asks this often whether another instance wants its place. */
const idleLookMs = 250;

/**
 * Works on one instance, as long as it holds the lease: reads its due contacts ahead, and sends each call in its slot. The run
 * ends when nothing is due and nothing in flight, or the instance must not be called, or when the slice is over and other
 * instances wait. Contacts whose calls are in flight then are marked, so that the next run leaves them alone.
 *
 * @throws what the ledger throws when Postgres is away; the lease then ends by itself
 */
export async function runInstance(ports: RunPorts, lane: Lane, stopping: AbortSignal): Promise<RunEnd> {
  const { leases, clock, settings } = ports;
  const lease = await leases.take(lane);
  if (typeof lease === "string") return lease;
  const slice = beginSlice(clock, settings.sliceMs, ports.othersWait);
  const due = createDueContacts(ports, lane, lease);
  stopping.addEventListener("abort", lane.alarm.wake, { once: true });
  try {
    return await work(ports, {
      lane,
      lease,
      due,
      slice,
      stopping,
      period: lane.period,
      interactiveOnly: lease.instance.interactiveOnly,
      isOutOfStep: false,
      sentInTurn: 0,
    });
  } finally {
    stopping.removeEventListener("abort", lane.alarm.wake);
    await leases.giveBack(lane);
  }
}

interface Run {
  readonly lane: Lane;
  readonly lease: Lease;
  readonly due: DueContacts;
  readonly slice: Slice;
  readonly stopping: AbortSignal;
  /** The lane's, when the run began. */
  readonly period: number;
  /** As the lease was when the run began: it reads other queues otherwise. */
  readonly interactiveOnly: boolean;
  isOutOfStep: boolean;
  /** Calls that were sent without a pause. */
  sentInTurn: number;
}

async function work(ports: RunPorts, run: Run): Promise<RunEnd> {
  const { clock } = ports;
  const { due, slice } = run;
  for (;;) {
    due.check();
    const end = findEnd(run);
    if (end) return end;
    if (due.probe === "ended") await lookAfterProbe(ports, run);
    const now = clock.now();
    if (slice.isDue(now) && (await slice.isOver())) return due.size > 0 || due.isReading ? "sliced" : "idle";
    due.readAhead(now);
    leaveStep(ports, run);
    const waitMs = due.size === 0 ? findIdleWait(run) : findSlotWait(ports, run, now);
    if (waitMs === "idle") return isHeldInPart(run.lease.instance) ? "held" : "idle";
    if (waitMs <= 0) {
      sendNext(ports, run, now);
      run.sentInTurn += 1;
      if (run.sentInTurn >= mostPerTurn) await turnToAnswers(run);
    } else if (await waitFor(ports, run, waitMs)) return "idle";
  }
}

/** Why the run must end; undefined: it may go on. */
function findEnd({ lane, lease, stopping, period, interactiveOnly }: Run): RunEnd | undefined {
  if (stopping.aborted) return "stopped";
  if (lane.period !== period) return "held";
  // Quiet hours with their exceptions have begun, or are over: the next run reads what may be asked then.
  if (lease.refusal === undefined && lease.instance.interactiveOnly !== interactiveOnly) return "sliced";
  return lease.refusal;
}

/**
 * Instances that are woken together would go on in step: hundreds of calls in one moment and none in the next. Each run that has
 * more than a call to send begins somewhere within a slot.
 */
function leaveStep({ clock, random }: RunPorts, run: Run): void {
  const { lane, lease, due } = run;
  if (run.isOutOfStep || due.size <= 1) return;
  run.isOutOfStep = true;
  lane.slots.notBefore(clock.now() + random() * slotSpacingMs(lease.instance));
}

/** How long to wait where no contact is at hand, ms; `idle`: there is nothing to wait for. */
function findIdleWait({ lane, due }: Run): number | "idle" {
  if (due.isReading) return lookEveryMs;
  if (lane.asked.size > 0) return idleLookMs;
  if (due.isDrained) return "idle";
  due.readAll();
  return lookEveryMs;
}

/** How long to wait before the next call, ms; 0: it goes now. */
function findSlotWait({ settings, isBehind }: RunPorts, { lane, lease, due }: Run, now: number): number {
  if (lane.isPaused) return lookEveryMs;
  if (isBehind()) return behindLookMs;
  const { requestsPerSecond, maxInFlight = settings.maxInFlight, probing } = lease.instance;
  // One that has just ended is looked after first: it has set off the alarm.
  if (probing && due.probe !== undefined) return lookEveryMs;
  const most = maxInFlight ?? defaultMaxInFlight(requestsPerSecond, lane.calls.tally.latencyMs);
  if (lane.calls.inFlight >= most) return lookEveryMs;
  const at = lane.slots.nextAt(now);
  return Math.min(lookEveryMs, Math.max(0, at - now));
}

/** Waits. True: another instance wants the place of a run that only waits for its answers. */
async function waitFor({ othersWait }: RunPorts, run: Run, ms: number): Promise<boolean> {
  const { lane, due } = run;
  const isIdle = due.size === 0 && !due.isReading;
  run.sentInTurn = 0;
  lane.awaitsCalls = isIdle || ms >= lookEveryMs;
  await lane.alarm.wait(ms);
  return (
    isIdle && due.size === 0 && !due.isReading && !lane.hasArrived && lane.asked.size > 0 && othersWait()
  );
}

/** A probe that has ended may have changed the instance. */
async function lookAfterProbe({ leases }: RunPorts, run: Run): Promise<void> {
  run.due.probe = undefined;
  await leases.look(run.lane);
}

/**
 * Where a process cannot keep up with its slots, answers are read before more is sent: otherwise calls in flight would fill its
 * memory, each with a connection of its own.
 */
async function turnToAnswers(run: Run): Promise<void> {
  run.sentInTurn = 0;
  await nextTurn();
}

function isHeldInPart({ allowedChatIds, heldKind }: LeasedInstance): boolean {
  return allowedChatIds !== undefined || heldKind !== undefined;
}

/** A chat of the kind that the instance is held for is a probe. */
function toProbed(instance: LeasedInstance, chatId: ChatId): LeasedInstance {
  return instance.heldKind?.kind === toChatKind(chatId) ? { ...instance, probing: true } : instance;
}

function sendNext({ call }: RunPorts, run: Run, now: number): void {
  const { lane, lease, due } = run;
  const contact = due.take();
  if (contact === undefined) return;
  const { epoch } = lease;
  const instance = toProbed(lease.instance, contact.chatId);
  lane.asked.add(contact.contactId, epoch);
  lease.calls += 1;
  const slot = lane.slots.take(now);
  const { askedAtMs, sentAt } = slot;
  const answered = call({ contact, instance, epoch, slot, askedAtMs, sentAt });
  if (!instance.probing) return;
  due.probe = "under way";
  void answered.finally(() => {
    due.probe = "ended";
    lane.alarm.wake();
  });
}
