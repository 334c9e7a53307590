import type {
  Allowance,
  LeasedInstance,
  LeaseResult,
  Renewal,
  SeenLease,
} from "../../src/domain/ledger/lease.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import type { Pace } from "../../src/domain/pace/pacer.ts";
import type { Actor, VirtualTime } from "./virtual-time.ts";

/** The way of one statement. All durations in ms of true time. */
export interface Lag {
  /** From its process to the row, without the wait for the row's lock. */
  readonly there: number;
  /** From the lock to the commit. */
  readonly inside: number;
  readonly back: number;
  /** It reads the database's clock when it has the lock; false: just before its commit. */
  readonly isClockReadFirst: boolean;
  /**
   * `lost`: it never gets there. `unanswered`: its answer is lost. `given-up`: its process is told that it has failed, while it is
   * still on its way.
   */
  readonly fate: "answered" | "lost" | "unanswered" | "given-up";
}

/** The row of one instance, and the clock of its database. */
export interface LeaseRow {
  readonly instanceId: InstanceId;
  pace: Pace;
  /** Undefined: any number of calls. */
  readonly cap: Cap | undefined;
  calls: DayCount;
  /** The database's clock is ahead of true time by so much, ms. */
  clockAheadMs: number;
  owner: string | undefined;
  epoch: number;
  mark: string;
  left: LeftBehind;
  /** A statement has it locked until then. */
  lockedUntil: number;
}

/** So many calls a day. These days are short. */
export interface Cap {
  readonly callsPerDay: number;
  readonly dayMs: number;
}

interface DayCount {
  readonly day: number;
  /** With those that are granted. */
  readonly made: number;
  readonly granted: number;
}

interface LeftBehind {
  readonly callsFromMs: number;
  readonly recentCallsMs: readonly number[];
  readonly handedOverAtMs: number | undefined;
}

const nothingLeft: LeftBehind = { callsFromMs: 0, recentCallsMs: [], handedOverAtMs: undefined };

export function createLeaseRow(instanceId: InstanceId, pace: Pace, cap?: Cap): LeaseRow {
  const row = { instanceId, pace, clockAheadMs: 1e9, epoch: 0, mark: "", left: nothingLeft, lockedUntil: 0 };
  return { ...row, owner: undefined, cap, calls: { day: -1, made: 0, granted: 0 } };
}

export interface LeaseLedgerPorts {
  readonly time: VirtualTime;
  readonly row: LeaseRow;
  /** The process that sends the statements. */
  readonly actor: Actor;
  /** The way of its next statement. */
  readonly nextLag: () => Lag;
}

export type LeaseLedger = Pick<
  RunLedger,
  "takeLease" | "renewLeases" | "handOver" | "listLeases" | "endDeadLeases" | "lookAtLease"
>;

/** The rules of src/store/work/leases.ts in memory, for one process and one instance. */
export function createLeaseLedger(ports: LeaseLedgerPorts): LeaseLedger {
  const { row } = ports;
  const { instanceId } = row;
  const send = createSender(ports);
  const isHeldBy = (owner: string, epoch: number) => row.owner === owner && row.epoch === epoch;
  const renewMark = (clock: number) => {
    row.mark = String(clock + 4_000);
  };
  return {
    lookAtLease: async () => ({ instanceId, kind: "kept" }),
    takeLease: (_id, owner) =>
      send("waits", (clock): LeaseResult => {
        if (row.owner !== undefined && row.owner !== owner) return { kind: "busy" };
        const { day, made } = countDay(row, clock);
        if (row.cap && made >= row.cap.callsPerDay) return { kind: "capped" };
        row.calls = { day, made, granted: 0 };
        const allowance = grant(row, clock, 0);
        row.owner = owner;
        row.epoch += 1;
        renewMark(clock);
        const callsFromMs = Math.min(row.left.callsFromMs, clock + 60_000);
        const { left, epoch } = row;
        return {
          kind: "taken",
          epoch,
          instance: toInstance(row.pace),
          ...left,
          callsFromMs,
          databaseNowMs: clock,
          allowance,
        };
      }),
    renewLeases: (owner, held) =>
      send("skips", (clock, isOurs) => ({
        databaseNowMs: clock,
        leases: held.map(({ epoch, spent }): Renewal => {
          if (!isHeldBy(owner, epoch)) return { instanceId, kind: "lost" };
          if (!isOurs) return { instanceId, kind: "kept" };
          renewMark(clock);
          row.calls = countDay(row, clock);
          const allowance = grant(row, clock, spent?.day === String(row.calls.day) ? spent.calls : 0);
          return {
            instanceId,
            kind: "renewed",
            instance: toInstance(row.pace),
            refusal: undefined,
            allowance,
          };
        }),
      })),
    handOver: (owner, { epoch, nextCallInMs, recentAgesMs, spent }) =>
      send("waits", (clock) => {
        if (!isHeldBy(owner, epoch)) return;
        row.owner = undefined;
        const { day, made, granted } = row.calls;
        const calls = spent?.day === String(day) ? spent.calls : 0;
        row.calls = { day, made: made - Math.max(0, granted - calls), granted: 0 };
        const recentCallsMs = recentAgesMs.map((age) => clock - age);
        row.left = { callsFromMs: clock + nextCallInMs, recentCallsMs, handedOverAtMs: clock };
      }),
    listLeases: (owner) =>
      send("looks", (): SeenLease[] =>
        row.owner === undefined || row.owner === owner
          ? []
          : [{ instanceId, epoch: row.epoch, mark: row.mark }],
      ),
    endDeadLeases: (dead) =>
      send("skips", (_clock, isOurs): InstanceId[] => {
        const isDead = dead.some(({ epoch, mark }) => row.epoch === epoch && row.mark === mark);
        if (!isOurs || !isDead || row.owner === undefined) return [];
        row.owner = undefined;
        row.epoch += 1;
        row.left = nothingLeft;
        return [instanceId];
      }),
  };
}

/** The calls of the present day. The day before does not come back. */
function countDay({ cap, calls }: LeaseRow, clock: number): DayCount {
  const today = cap === undefined ? 0 : Math.floor(clock / cap.dayMs);
  if (calls.day === today || calls.day === today + 1) return calls;
  return { day: today, made: 0, granted: 0 };
}

/** Grants the calls of a second and a half beyond those that are spent. */
function grant(row: LeaseRow, clock: number, spent: number): Allowance | undefined {
  const { cap, calls, pace } = row;
  if (cap === undefined) return undefined;
  const ahead = Math.ceil(pace.requestsPerSecond * 1.5);
  const more = Math.max(0, Math.min(spent + ahead - calls.granted, cap.callsPerDay - calls.made));
  row.calls = { day: calls.day, made: calls.made + more, granted: calls.granted + more };
  return {
    grant: { day: String(calls.day), calls: row.calls.granted },
    endsInMs: (calls.day + 1) * cap.dayMs - clock,
  };
}

const away = new Error("Postgres is away");

/** @param write what the statement does when it commits, by the clock that it has read; `isOurs`: it has the row locked */
type Send = <Answer>(
  lock: "waits" | "skips" | "looks",
  write: (clock: number, isOurs: boolean) => Answer,
) => Promise<Answer>;

function createSender({ time, row, actor, nextLag }: LeaseLedgerPorts): Send {
  const readClock = () => time.now + row.clockAheadMs;
  return (lock, write) =>
    new Promise((resolve, reject) => {
      const { there, inside, back, isClockReadFirst, fate } = nextLag();
      const fail = () => reject(away);
      if (fate === "lost") return time.settleAt(time.now + there + back, actor, fail);
      if (fate === "given-up") time.settleAt(time.now + there / 2, actor, fail);

      const answer = (result: Awaited<ReturnType<typeof write>>) => {
        if (fate === "answered") time.settleAt(time.now + back, actor, () => resolve(result));
        if (fate === "unanswered") time.settleAt(time.now + back, actor, fail);
      };
      const arrive = () => {
        const isLocked = row.lockedUntil > time.now;
        if (isLocked && lock === "waits") return time.at(row.lockedUntil, undefined, arrive);
        const isOurs = lock !== "looks" && !isLocked;
        if (!isOurs) return answer(write(readClock(), false) as Awaited<ReturnType<typeof write>>);
        row.lockedUntil = time.now + inside;
        const clockThen = readClock();
        return time.at(row.lockedUntil, undefined, () =>
          answer(
            write(isClockReadFirst ? clockThen : readClock(), true) as Awaited<ReturnType<typeof write>>,
          ),
        );
      };
      return time.at(time.now + there, undefined, arrive);
    });
}

function toInstance(pace: Pace): LeasedInstance {
  const { requestsPerSecond, marginMs } = pace;
  const credentials = { apiUrl: "http://x", sealedToken: "sealed" };
  return {
    ...credentials,
    requestsPerSecond,
    marginMs,
    maxInFlight: undefined,
    probing: false,
    heldKind: undefined,
    allowedChatIds: undefined,
    interactiveOnly: false,
  };
}
