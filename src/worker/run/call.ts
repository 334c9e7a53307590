import type { ClaimedContact, ClaimedInstance } from "../../domain/lookup/claim.ts";

/** One call, about to be sent. */
export interface Call {
  readonly runId: string;
  readonly contact: ClaimedContact;
  readonly instance: ClaimedInstance;
  /** By the database's clock. */
  readonly askedAtMs: number;
  /** To be called when the request is on its way. */
  readonly onSent: () => void;
}
