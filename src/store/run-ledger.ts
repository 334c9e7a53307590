import type { RunLedger } from "../domain/ledger.ts";
import { claimDueContacts } from "./claim-due-contacts.ts";
import { extendClaims, releaseClaims } from "./claims.ts";
import type { Database } from "./database.ts";
import { endHold, holdInstance } from "./holds.ts";
import type { PaceSettings } from "./pace-settings.ts";
import { reserveCalls } from "./reserve-calls.ts";
import { saveLookups } from "./save-lookups.ts";

/** The ledger as instance runs see it. */
export function createRunLedger({ pool }: Database, settings: PaceSettings): RunLedger {
  return {
    claimDueContacts: (request) => claimDueContacts(pool, settings, request),
    reserveCalls: (request) => reserveCalls(pool, settings, request),
    saveLookups: (records) => saveLookups(pool, records),
    extendClaims: (claims) => extendClaims(pool, settings.claimLeaseMs, claims),
    releaseClaims: (claims) => releaseClaims(pool, claims),
    holdInstance: (instanceId, hold, askedAtMs) => holdInstance(pool, instanceId, hold, askedAtMs),
    endHold: (instanceId) => endHold(pool, instanceId),
  };
}
