import { randomUUID } from "node:crypto";
import type { QueuedContact } from "../../src/domain/ledger/due-queue.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { Lease } from "../../src/worker/lease/leases.ts";
import { createCallAllowance } from "../../src/worker/lane/call-allowance.ts";
import { createDatabaseClock } from "../../src/worker/lane/clocks.ts";
import { createDueContacts } from "../../src/worker/run/due-contacts.ts";
import { createDueReader } from "../../src/worker/run/due-reader.ts";
import { createLane } from "../../src/worker/lane/lane.ts";

/** A run that reads due contacts as the worker's do, but sends nothing. */
export interface DueRun {
  readonly epoch: number;
  /** The contacts that are asked next, in the order of their calls. Their calls are in flight until they are settled. */
  next(count: number): Promise<QueuedContact[]>;
  /** The records of these contacts are saved. */
  settle(contactIds: readonly number[]): void;
}

const callsPerSecond = 200;

/**
 * Takes the lease of an instance, also where a run before has it.
 * @param oldestShare as the worker's setting
 */
export async function openDueRun(
  ledger: RunLedger,
  instanceId: InstanceId,
  oldestShare = 0,
): Promise<DueRun> {
  let calls = 0;
  // Time goes on by the slots of the calls.
  const clock = { now: () => performance.now() + (calls * 1_000) / callsPerSecond };
  const database = createDatabaseClock();
  const lane = createLane(instanceId, clock, database);
  const taken = await ledger.takeLease(instanceId, owner);
  if (taken.kind !== "taken") throw new Error(`no lease: ${taken.kind}`);
  const { epoch, databaseNowMs } = taken;
  database.observe(databaseNowMs, clock.now());
  const instance = { ...taken.instance, requestsPerSecond: callsPerSecond };
  const lease: Lease = {
    epoch,
    instance,
    refusal: undefined,
    seenAt: 0,
    calls: 0,
    allowance: createCallAllowance(Infinity),
  };
  const reader = createDueReader(ledger, clock);
  const due = createDueContacts(
    { ledger, reader, clock, database, random: () => 0, settings: { oldestShare } },
    lane,
    lease,
  );
  const waitForLook = async () => {
    while (due.isReading) await lane.alarm.wait(1_000);
    due.check();
  };

  async function takeUpTo(count: number): Promise<QueuedContact[]> {
    const taken: QueuedContact[] = [];
    while (taken.length < count) {
      due.readAhead(clock.now());
      await waitForLook();
      const contact = due.size > 0 ? due.take() : undefined;
      if (contact) {
        lane.asked.add(contact.contactId, epoch);
        taken.push(contact);
        calls += 1;
      } else if (due.isDrained) break;
      else if (!lane.hasArrived) due.readAll();
    }
    return taken;
  }

  return {
    epoch,
    settle(contactIds) {
      for (const contactId of contactIds) lane.settle(contactId);
    },
    async next(count) {
      await waitForLook();
      due.readAll();
      await waitForLook();
      const contacts = await takeUpTo(count);
      const turns = lane.heads?.turns ?? ([0, 0, 0] as const);
      await ledger.renewLeases(owner, [{ instanceId, epoch, calls: contacts.length, turns }]);
      return contacts;
    },
  };
}

/** Of all runs of a test file: a run may take the lease of the one before. */
const owner = randomUUID();
