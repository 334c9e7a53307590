import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { ChatHash } from "../../lib/secrets/chat-hash.ts";
import { noteArrivals, readArrivals } from "./arrivals.ts";
import type { Database } from "../postgres/database.ts";
import { endHold, holdInstance, prolongHold } from "./holds.ts";
import { noteState, reserveStateCall } from "./state-calls.ts";
import type { PaceSettings } from "./lease-sql.ts";
import { endDeadLeases, handOver, listLeases, lookAtLease, renewLeases, takeLease } from "./leases.ts";
import { putOff } from "./put-off.ts";
import { readDue, readHeld } from "./read-due.ts";
import { saveLookups } from "../saves/save-lookups.ts";
import { throttle } from "./throttle.ts";

export interface LedgerSettings extends PaceSettings {
  /** Hashes the ids of erased chats, as their erasure does (erase-contact.ts). */
  readonly hashErased: ChatHash;
  /** Are the images of avatars taken, beside their URLs? */
  readonly keepsImages: boolean;
}

/**
 * The ledger as instance runs see it.
 * @param leases where leases are kept and queues are read, by index (`readsByIndex`)
 */
export function createRunLedger(
  { pool }: Database,
  settings: LedgerSettings,
  leases: Pick<Database, "pool"> = { pool },
): RunLedger {
  return {
    takeLease: (instanceId, owner) => takeLease(leases.pool, settings, instanceId, owner),
    renewLeases: (owner, held) => renewLeases(leases.pool, settings, owner, held),
    lookAtLease: (owner, lease) => lookAtLease(leases.pool, settings, owner, lease),
    handOver: (owner, lease) => handOver(leases.pool, settings, owner, lease),
    listLeases: (owner) => listLeases(leases.pool, owner),
    endDeadLeases: (dead) => endDeadLeases(leases.pool, dead),
    readDue: (requests) => readDue(leases.pool, requests),
    readHeld: (instanceId, wish, but, limit) => readHeld(leases.pool, instanceId, wish, but, limit),
    readArrivals: (horizon) => readArrivals(leases.pool, horizon),
    noteArrivals: (instanceIds) => noteArrivals(pool, instanceIds),
    saveLookups: (records) => saveLookups(pool, records, settings.keepsImages),
    putOff: (asked, error) => putOff(pool, asked, error),
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
