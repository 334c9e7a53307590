import type { ContactFailure, Decision } from "../../domain/lookup/decide.ts";
import type { Finding } from "../../domain/trouble/finding.ts";
import type { Hold } from "../../domain/trouble/hold.ts";
import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import { isSign } from "../../domain/trouble/suspect.ts";
import type { InstanceCheck, LaneCredentials } from "./check-instance.ts";
import type { InstanceHolds } from "./instance-holds.ts";
import type { Call } from "../run/call.ts";
import type { Lane } from "../run/lane.ts";

export interface ProbePorts {
  readonly ledger: Pick<RunLedger, "putOff">;
  readonly check: InstanceCheck;
  readonly holds: InstanceHolds;
  readonly events: { ledgerFailed(fields: { where: string }, error: unknown): void };
}

/** The calls that find out whether a held instance works again. Nothing here rejects. */
export interface Probes {
  /** It may be the contact's fault or the instance's. Returns what the contact is charged with, if anything. */
  failed(
    lane: Lane,
    call: Call & { readonly credentials: LaneCredentials },
    decision: Extract<Decision, { kind: "suspect" }>,
  ): Promise<ContactFailure | undefined>;
  /** It is surely the instance's fault. */
  refused(lane: Lane, call: Call, hold: Hold): Promise<void>;
}

/**
 * Held for this long although the state is fine, it is rather the contacts that always fail: each must come to its end.
 * One contact pays per probe.
 */
const inDoubtMs = 60 * 60_000;

export function createProbes({ ledger, check, holds, events }: ProbePorts): Probes {
  /** No attempt is spent, and the next probe takes another contact: this one may be one that always fails. */
  async function putOff({ contact, runId }: Call, error: string): Promise<undefined> {
    try {
      await ledger.putOff({ contactId: contact.contactId, runId }, error);
    } catch (failure) {
      // Its claim expires.
      events.ledgerFailed({ where: "put off" }, failure);
    }
  }

  async function holdOn(lane: Lane, call: Call, hold: Hold): Promise<undefined> {
    await holds.open(lane, hold, call.askedAtMs);
    return putOff(call, hold.text);
  }

  return {
    async failed(lane, call, decision) {
      const finding = await check.ask(call.credentials);
      const reason = findReason(finding, decision);
      if (reason) return holdOn(lane, call, reason);
      const held = await holds.prolong(lane, call.askedAtMs);
      const isInDoubt = finding.kind === "works" && held && held.heldForMs > inDoubtMs;
      if (isInDoubt) return decision.failure;
      return putOff(call, isSign(decision) ? decision.hold.text : decision.failure.error);
    },
    refused: holdOn,
  };
}

/** What the instance is held for from now on, where that is news: the state is surer than what a single call brings. */
function findReason(finding: Finding, decision: Extract<Decision, { kind: "suspect" }>): Hold | undefined {
  if (finding.kind === "trouble") return finding.hold;
  return isSign(decision) && finding.kind !== "works" ? decision.hold : undefined;
}
