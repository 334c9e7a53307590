import type { ContactDecision } from "../lookup/decide.ts";
import type { Refresh } from "../refresh/refresh-policy.ts";

/** What one finished lookup writes to the ledger. */
export interface LookupRecord {
  readonly contactId: number;
  /** The instance run that claimed the contact: the fence for everything but a clear answer. */
  readonly runId: string;
  /** When the call was sent, ms by the database's clock: the fence for clear answers (I4). */
  readonly askedAtMs: number;
  readonly decision: ContactDecision;
  /** When it is due again, if it rests now. Undefined: nothing has changed about that. */
  readonly refresh: Refresh | undefined;
}
