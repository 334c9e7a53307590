import type { Finding } from "../../domain/trouble/finding.ts";
import { holdFor, holdForState, type ProbePolicy } from "../../domain/trouble/hold.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { InstanceCredentials } from "../../domain/outcome.ts";
import type { StateReport } from "../../domain/lookup/state-report.ts";
import { assertNever } from "../../lib/errors.ts";
import { waitForTurn } from "../../lib/wait-for-turn.ts";
import type { Clock } from "../lane/clocks.ts";

export interface InstanceCheckPorts {
  readonly ledger: Pick<RunLedger, "reserveStateCall" | "noteState">;
  /** Never rejects: whatever happens is a report. */
  readonly getState: (
    instance: InstanceCredentials,
    options: { signal: AbortSignal },
  ) => Promise<StateReport>;
  readonly policy: ProbePolicy;
  readonly events: InstanceCheckEvents;
  readonly clock: Clock;
  /** Ends the looks that are under way, as `untold`. */
  readonly signal: AbortSignal;
}

export interface InstanceCheckEvents {
  instanceChecked(fields: { instanceId: InstanceId; report: StateReport }): void;
  ledgerFailed(fields: { where: string }, error: unknown): void;
}

export interface LaneCredentials extends InstanceCredentials {
  readonly instanceId: InstanceId;
}

/** Asks getStateInstance, once a second over all processes. Nothing here rejects. */
export interface InstanceCheck {
  /** Asks for the state once. */
  ask(instance: LaneCredentials): Promise<Finding>;
  /**
   * Asks, and asks again before trouble is believed: the reported state is sometimes wrong (provider contract).
   * @param isNeeded is the state still in question, when the first report tells of trouble?
   */
  confirm(instance: LaneCredentials, isNeeded: () => boolean): Promise<Finding>;
}

export function createInstanceCheck(ports: InstanceCheckPorts): InstanceCheck {
  const { ledger, clock, events, signal } = ports;

  async function ask(instance: LaneCredentials): Promise<Finding> {
    const { instanceId } = instance;
    try {
      await waitForTurn({ reserve: async () => ledger.reserveStateCall(instanceId), clock, signal });
    } catch (error) {
      events.ledgerFailed({ where: "reserve state call" }, error);
      return { kind: "untold" };
    }
    if (signal.aborted) return { kind: "untold" };
    const report = await ports.getState(instance, { signal });
    events.instanceChecked({ instanceId, report });
    await note(instanceId, report.kind === "state" ? report.state : undefined);
    return toFinding(report, new Date(), ports.policy);
  }

  async function note(instanceId: InstanceId, state: string | undefined): Promise<void> {
    try {
      await ledger.noteState(instanceId, state);
    } catch (error) {
      events.ledgerFailed({ where: "note state" }, error);
    }
  }

  return {
    ask,
    async confirm(instance, isNeeded) {
      const first = await ask(instance);
      if (first.kind !== "trouble" || !isNeeded()) return first;
      const second = await ask(instance);
      return second.kind === "silent" || second.kind === "untold" ? first : second;
    },
  };
}

/** The finding of a report: its meaning for the lookups that have failed. An unknown state is tried, carefully. Pure. */
export function toFinding(report: StateReport, now: Date, policy: ProbePolicy): Finding {
  switch (report.kind) {
    case "state": {
      const { state, verdict } = report;
      if (verdict === "works" || verdict === "unknown") return { kind: "works" };
      return { kind: "trouble", hold: holdForState(state, verdict, policy) };
    }
    case "refused":
      if (report.outcome.kind === "throttled") return { kind: "untold" };
      return { kind: "trouble", hold: holdFor(report.outcome, now, policy) };
    case "throttled":
      return { kind: "untold" };
    case "unanswered":
      if (report.code === "ABORTED") return { kind: "untold" };
      return { kind: "silent", ground: report.code === "DEADLINE" ? "silence" : "failure" };
    default:
      return assertNever(report);
  }
}
