import type { Decision } from "../../domain/lookup/decide.ts";
import type { Call } from "../run/call.ts";
import type { LaneCredentials } from "./check-instance.ts";

/** A call that was sent. */
export interface SentCall extends Call {
  readonly credentials: LaneCredentials;
}

export type DecisionOf<Kind extends Decision["kind"]> = Extract<Decision, { kind: Kind }>;
