import { interactive, priorities, type HeldWish, type QueuedContact } from "../../domain/ledger/due-queue.ts";
import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { Lease } from "../lease/leases.ts";
import type { Clock, DatabaseClock } from "../lane/clocks.ts";
import { anywhere, createDueHeads } from "../lane/due-heads.ts";
import type { DueReader } from "./due-reader.ts";
import type { Lane } from "../lane/lane.ts";

export interface DueContactsPorts {
  readonly ledger: Pick<RunLedger, "readHeld">;
  readonly reader: DueReader;
  readonly clock: Clock;
  readonly database: DatabaseClock;
  /** The share of the calls, from 0 to 1, for contacts that have been due for longest, whatever their priority. */
  readonly settings: { readonly oldestShare: number };
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** The due contacts of one run, read a second ahead. */
export interface DueContacts {
  /** What has become of the probe that was sent last. Until that was looked into, no other one is offered. */
  probe: "under way" | "ended" | undefined;
  /** Takes the next contact; undefined: there is none at hand. */
  take(): QueuedContact | undefined;
  readonly size: number;
  /** Begins to read where it is time to. */
  readAhead(now: number): void;
  /** A look is under way. */
  readonly isReading: boolean;
  /** Nothing more was due when all queues were read from their beginning, and nothing has arrived since. */
  readonly isDrained: boolean;
  /** Looks through all queues from their beginning, once. */
  readAll(): void;
  /** @throws what the last look has met */
  check(): void;
}

/** A look covers this much time: what was read is as old as that at most when it is called for. */
const aheadMs = 1_000;
/** The next look begins this long before the contacts at hand are used up, at least. */
const leastAheadMs = 150;
const mostAtOnce = 1_000;

export function createDueContacts(ports: DueContactsPorts, lane: Lane, lease: Lease): DueContacts {
  const { reader, clock, database, settings } = ports;
  const { interactiveOnly } = lease.instance;
  const heads = createDueHeads(lane.instanceId, interactiveOnly ? [interactive] : priorities);
  lane.heads = heads;
  lane.hasArrived = true;
  /** Of an instance that is held, but for these. */
  let allowed: QueuedContact[] = [];
  /** One of the kind that the instance is held for. */
  let probes: QueuedContact[] = [];
  let isReading = false;
  let readAt = -Infinity;
  let failure: unknown;
  /** The last look was through all queues, from their beginning. */
  let wasWhole = true;
  let credit = ports.random();

  const offered = () => (due.probe !== undefined || lease.instance.heldKind?.mayProbe !== true ? [] : probes);
  // What was read before the instance was held for its kind waits.
  const atHand = () => (lease.instance.heldKind === undefined ? heads.size : offered().length);
  const size = () => atHand() + allowed.length;
  /** The next look begins so long before the contacts at hand are used up, ms. */
  const earlyMs = () => Math.max(leastAheadMs, 3 * reader.takesMs);
  const toCalls = (ms: number) => Math.ceil((lease.instance.requestsPerSecond * ms) / 1000);
  // Of a probe, those that are being asked are found again, and left out.
  const limit = () =>
    lease.instance.probing ? 2 + lane.asked.size : Math.min(mostAtOnce, toCalls(aheadMs + earlyMs()) + 1);
  const low = () => (lease.instance.probing ? 0 : Math.min(mostAtOnce / 2, toCalls(earlyMs())));

  async function look(): Promise<void> {
    lane.hasArrived = false;
    lane.isPressing = false;
    const { allowedChatIds, heldKind } = lease.instance;
    if (allowedChatIds !== undefined || heldKind !== undefined) return readAllowed();
    const requests = heads.toRequests(limit(), database.atLeast(clock.now()) * 1000, lane.asked.size);
    const found = await reader.read(requests);
    [allowed, probes] = [[], []];
    heads.takeIn(found, lane.asked.has, lane.asked.holds);
    // A full queue has more.
    if (found.some((contacts, place) => contacts.length >= (requests[place]?.limit ?? 0)))
      lane.hasArrived = true;
  }

  /** Reads what may be asked although the instance is held, and one to probe it with where it is time to. */
  async function readAllowed(): Promise<void> {
    const { allowedChatIds, heldKind } = lease.instance;
    const but = lane.asked.list();
    const most = limit();
    const readHeld = async (wish: HeldWish, limit: number) =>
      ports.ledger.readHeld(lane.instanceId, wish, but, limit);
    const found = await readHeld(
      heldKind ? { kind: heldKind.kind, isOf: false } : { chatIds: allowedChatIds ?? [] },
      most,
    );
    const foundProbes = heldKind?.mayProbe ? await readHeld({ kind: heldKind.kind, isOf: true }, 1) : [];
    // Some may have been asked while they were read.
    const isWanted = ({ contactId, priority }: QueuedContact) =>
      !lane.asked.has(contactId) && (!interactiveOnly || priority === interactive);
    allowed = found.filter(isWanted);
    probes = foundProbes.filter(isWanted);
    heads.takeIn([], () => false);
    if (allowed.length > 0 && found.length >= most) lane.hasArrived = true;
  }

  function read(): void {
    isReading = true;
    const endLook = lane.asked.look();
    look()
      .catch((error: unknown) => {
        failure = error;
      })
      .finally(() => {
        endLook();
        readAt = clock.now();
        isReading = false;
        lane.alarm.wake();
      });
  }

  const due: DueContacts = {
    probe: undefined,
    get size() {
      return size();
    },
    get isReading() {
      return isReading;
    },
    get isDrained() {
      return wasWhole && !isReading && !lane.hasArrived && size() === 0;
    },
    take() {
      wasWhole = false;
      if (offered().length > 0) return probes.shift();
      if (allowed.length > 0 || lease.instance.heldKind !== undefined) return allowed.shift();
      credit += settings.oldestShare;
      const isFavoured = credit >= 1 || lease.instance.probing;
      const taken = heads.take(isFavoured);
      if (credit >= 1) credit -= 1;
      return taken;
    },
    readAhead(now) {
      if (isReading) return;
      // What is at hand gets old, and a backoff may be over.
      const isOld = now - readAt > aheadMs;
      if (isOld || lane.isPressing || (lane.hasArrived && size() <= low())) read();
    },
    readAll() {
      wasWhole = true;
      heads.goBack(anywhere);
      read();
    },
    check() {
      if (failure !== undefined) throw failure;
    },
  };
  return due;
}
