import type { ContactFailure, DecisionOf } from "../../domain/lookup/decide.ts";
import type { Finding } from "../../domain/trouble/finding.ts";
import type { Hold } from "../../domain/trouble/hold.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import { isSign } from "../../domain/trouble/suspect.ts";
import type { InstanceCheck, LaneCredentials } from "./check-instance.ts";
import type { InstanceHold } from "./instance-hold.ts";
import type { Call } from "../run/call.ts";
import type { Lane } from "../lane/lane.ts";

export interface ProbePorts {
  readonly ledger: Pick<RunLedger, "putOff">;
  /** As for hand-overs (worker/lease/leases.ts). */
  readonly betweenSaves: (instanceId: InstanceId, work: () => Promise<void>) => Promise<void>;
  readonly check: InstanceCheck;
  readonly events: { ledgerFailed(fields: { where: string }, error: unknown): void };
}

/** The calls that find out whether an instance that is held works again. Nothing here rejects. */
export interface Probes {
  /** The probe failed by the contact's fault or the instance's. Returns what the contact is charged with, if anything. */
  failed(
    call: Call,
    decision: DecisionOf<"suspect">,
    credentials: LaneCredentials,
  ): Promise<ContactFailure | undefined>;
  /** The probe failed, surely by the instance's fault. */
  refused(call: Call, hold: Hold): Promise<void>;
}

/**
 * A hold of this length, although the state is fine, is rather the fault of contacts that always fail. Each of them must come to its
 * end: one contact pays per probe.
 */
const inDoubtMs = 60 * 60_000;

export function createProbes(ports: ProbePorts, lane: Lane, instanceHold: InstanceHold): Probes {
  const { ledger, betweenSaves, check, events } = ports;

  /** Puts the contact off with no attempt spent. The next probe takes another one, since this one may always fail. */
  async function putOff({ contact, epoch }: Call, error: string): Promise<undefined> {
    try {
      const asked = { contactId: contact.contactId, epoch };
      // A hand-over that marks the contact comes before, or after it is settled.
      await betweenSaves(lane.instanceId, () =>
        ledger.putOff(asked, error).finally(() => lane.settle(contact.contactId)),
      );
    } catch (failure) {
      // The contact keeps its place then.
      events.ledgerFailed({ where: "put off" }, failure);
    }
  }

  async function holdOn(call: Call, hold: Hold): Promise<undefined> {
    await instanceHold.openByProbe(hold, call.askedAtMs);
    return putOff(call, hold.text);
  }

  return {
    async failed(call, decision, credentials) {
      const finding = await check.ask(credentials);
      const reason = findReason(finding, decision);
      if (reason) return holdOn(call, reason);
      const held = await instanceHold.prolong(call.askedAtMs);
      const isInDoubt = finding.kind === "works" && held && held.heldForMs > inDoubtMs;
      if (isInDoubt) return decision.failure;
      return putOff(call, isSign(decision) ? decision.hold.text : decision.failure.error);
    },
    refused: holdOn,
  };
}

/** The hold from now on, where its reason is news: the state is surer than what a single call brings. */
function findReason(finding: Finding, decision: DecisionOf<"suspect">): Hold | undefined {
  if (finding.kind === "trouble") return finding.hold;
  return isSign(decision) && finding.kind !== "works" ? decision.hold : undefined;
}
