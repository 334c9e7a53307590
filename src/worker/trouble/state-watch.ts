import type { Finding } from "../../domain/trouble/finding.ts";
import type { Clock } from "../lane/clocks.ts";
import type { Lane } from "../lane/lane.ts";
import type { InstanceCheck, LaneCredentials } from "./check-instance.ts";
import type { Suspects } from "./suspects.ts";

export interface StateWatchPorts {
  readonly clock: Clock;
  readonly check: InstanceCheck;
  readonly suspects: Suspects;
  /** Carries out what follows from a look; the suspects still wait. */
  readonly found: (finding: Finding) => Promise<void>;
  /** A look, or what follows from it, has failed; the suspects are released afterwards. */
  readonly onError: (error: unknown) => void;
}

/** Looks at the state of one instance as soon as its suspects need it, one look at a time. */
export interface StateWatch {
  /**
   * Something has happened to the suspects: the next look may be due, or needed no more.
   * @param credentials of the call that has failed just now: the next look asks with them
   */
  update(credentials?: LaneCredentials): void;
  /** Looks no more, and what a look that is under way tells is ignored. */
  stop(): void;
}

export function createStateWatch(ports: StateWatchPorts, lane: Lane): StateWatch {
  const { clock, check, suspects } = ports;
  let credentials: LaneCredentials | undefined;
  let isLooking = false;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;

  function lookInTime(): void {
    clearTimeout(timer);
    const lookAt = suspects.lookAt();
    if (lookAt === undefined || isLooking || isStopped) return;
    const waitMs = lookAt - clock.now();
    if (waitMs > 0) timer = setTimeout(lookInTime, waitMs);
    else void look();
  }

  /** Meanwhile no call is sent: whether it may be is the question. */
  async function look(): Promise<void> {
    isLooking = true;
    lane.pauseCalls();
    try {
      const finding = await findOut();
      if (!isStopped) await ports.found(finding);
    } catch (error) {
      ports.onError(error);
      suspects.release(undefined);
    } finally {
      isLooking = false;
      lane.resumeCalls();
      lookInTime();
    }
  }

  async function findOut(): Promise<Finding> {
    if (suspects.isSeenWorking()) return { kind: "works" };
    if (credentials === undefined) return { kind: "untold" };
    return check.confirm(credentials, () => suspects.lookAt() !== undefined);
  }

  return {
    update(latest = credentials) {
      credentials = latest;
      lookInTime();
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
