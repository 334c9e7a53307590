import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { ChatHash } from "../../lib/secrets/chat-hash.ts";
import { claimDueContacts } from "./claim-due-contacts.ts";
import { extendClaims, putOff, releaseClaims } from "./claims.ts";
import type { Database } from "../postgres/database.ts";
import { endHold, holdInstance, prolongHold } from "./holds.ts";
import { noteState, reserveStateCall } from "./state-calls.ts";
import type { PaceSettings } from "./pace-settings.ts";
import { reserveCalls } from "./reserve-calls.ts";
import { saveLookups } from "./save-lookups.ts";
import { throttle } from "./throttle.ts";

export interface LedgerSettings extends PaceSettings {
  /** Hashes the ids of erased chats, as their erasure does (erase-contact.ts). */
  readonly hashErased: ChatHash;
  /** Are the images of avatars taken, beside their URLs? */
  readonly keepsImages: boolean;
}

/**
 * The ledger as instance runs see it.
 * @param claims where claims are written: they expire anyway, and need not wait for the disk
 */
export function createRunLedger(
  { pool }: Database,
  settings: LedgerSettings,
  claims: Pick<Database, "pool"> = { pool },
): RunLedger {
  return {
    claimDueContacts: (request) => claimDueContacts(claims.pool, settings, request),
    reserveCalls: (request) => reserveCalls(claims.pool, settings, request),
    saveLookups: (records) => saveLookups(pool, records, settings.keepsImages),
    extendClaims: (fences) => extendClaims(claims.pool, settings.claimLeaseMs, fences),
    releaseClaims: (fences) => releaseClaims(claims.pool, fences),
    putOff: (claim, error) => putOff(pool, claim, error),
    holdInstance: (instanceId, hold, askedAtMs) =>
      holdInstance(pool, settings.hashErased, instanceId, hold, askedAtMs),
    prolongHold: (instanceId, policy, askedAtMs) => prolongHold(pool, instanceId, policy, askedAtMs),
    endHold: (instanceId, chatId, askedAtMs) => endHold(pool, instanceId, chatId, askedAtMs),
    reserveStateCall: (instanceId) => reserveStateCall(pool, instanceId),
    noteState: (instanceId, state) => noteState(pool, instanceId, state),
    throttle: (instanceId, refusal, askedAtMs) =>
      throttle(pool, settings.requestsPerSecond, instanceId, refusal, askedAtMs),
  };
}
