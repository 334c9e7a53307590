import type { Arrival, QueuedContact } from "../../domain/ledger/due-queue.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { createAlarm, type Alarm } from "./alarm.ts";
import { createAskedContacts, type AskedContacts } from "./asked-contacts.ts";
import type { Clock, DatabaseClock } from "./clocks.ts";
import type { DueHeads } from "./due-heads.ts";
import { createLaneCalls, type LaneCalls } from "./lane-calls.ts";
import { createLaneSlots, type LaneSlots } from "./lane-slots.ts";

/**
 * One instance in one process, beyond a single run: how it was called of late, and what is in flight. Runs come and go; their calls
 * stay in the lane until they are answered. So a run may hand over while a call takes its 70 s.
 */
export interface Lane {
  readonly instanceId: InstanceId;
  readonly calls: LaneCalls;
  readonly slots: LaneSlots;
  readonly asked: AskedContacts;
  /** Wakes the run, which looks at everything anew. */
  readonly alarm: Alarm;
  /** The end of a call wakes the run. One that waits for its slot has nothing to do then. */
  awaitsCalls: boolean;
  /** The queues as its run reads them; undefined: no run holds the lease. */
  heads: DueHeads | undefined;
  /** Something has arrived since the run has looked last. */
  hasArrived: boolean;
  /** What has arrived since then is more urgent than what the run has at hand. */
  isPressing: boolean;
  /** Something has arrived since the last run has ended. */
  hasMissed: boolean;
  /** Counts how often its runs were stopped: a run sends nothing in another period than the one it began in. */
  readonly period: number;
  /** Calls wait: whether the instance is in trouble is being found out. */
  readonly isPaused: boolean;
  /** An answer says that the instance is in trouble: runs that have begun send nothing more. */
  stopRuns(): void;
  /** No call is sent until `resumeCalls` was called as often. */
  pauseCalls(): void;
  resumeCalls(): void;
  /** Contacts have become due, or more urgent. False: no run of this process is there to look. */
  arrive(arrival?: Pick<Arrival, "priority" | "turn">): boolean;
  /** The contact was not asked after all. */
  putBack(contact: QueuedContact): void;
  /** The contact's record is saved, or never will be. */
  settle(contactId: number): void;
}

export function createLane(instanceId: InstanceId, clock: Clock, database: DatabaseClock): Lane {
  const alarm = createAlarm();
  const asked = createAskedContacts();
  let period = 0;
  let pauses = 0;
  const lane: Lane = {
    instanceId,
    calls: createLaneCalls(clock, () => {
      if (lane.awaitsCalls) alarm.wakeSoon();
    }),
    slots: createLaneSlots(clock, database),
    asked,
    alarm,
    awaitsCalls: true,
    heads: undefined,
    hasArrived: false,
    isPressing: false,
    hasMissed: false,
    get period() {
      return period;
    },
    get isPaused() {
      return pauses > 0;
    },
    stopRuns() {
      period += 1;
      alarm.wake();
    },
    pauseCalls() {
      pauses += 1;
    },
    resumeCalls() {
      pauses -= 1;
      alarm.wake();
    },
    arrive(arrival) {
      if (lane.heads === undefined) {
        lane.hasMissed = true;
        return false;
      }
      if (arrival) {
        lane.isPressing ||= (arrival.priority ?? 0) < lane.heads.firstPriority;
        lane.heads.goBack(arrival);
      }
      lane.hasArrived = true;
      alarm.wake();
      return true;
    },
    putBack(contact) {
      asked.settle(contact.contactId);
      lane.heads?.putBack(contact);
      lane.hasArrived = true;
      alarm.wake();
    },
    settle(contactId) {
      asked.settle(contactId);
      if (asked.size === 0) alarm.wake();
    },
  };
  return lane;
}
