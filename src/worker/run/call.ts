import type { ClaimedContact, ClaimedInstance } from "../../domain/lookup/claim.ts";

/** A call that is about to be sent. */
export interface Call {
  readonly runId: string;
  readonly contact: ClaimedContact;
  readonly instance: ClaimedInstance;
  /** When it is sent, by the database's clock. */
  readonly askedAtMs: number;
  /** To be called when the request is on its way. */
  readonly onSent: () => void;
}
