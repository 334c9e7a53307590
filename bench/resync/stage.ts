import { randomUUID } from "node:crypto";
import { priorities, type QueuedContact } from "../../src/domain/ledger/due-queue.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { LookupRecord } from "../../src/domain/ledger/lookup-record.ts";
import { planRefresh } from "../../src/domain/refresh/refresh-policy.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import type { Base } from "../../src/app/base.ts";
import { openDatabase, type Database } from "../../src/store/postgres/database.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";

/** One worker process, as far as Postgres sees it. */
export interface Stage {
  readonly base: Base;
  readonly database: Database;
  readonly ledger: RunLedger;
  readonly instanceIds: readonly InstanceId[];
  readonly processId: string;
  /** The heads of an instance's queues, as a run reads them. */
  readDue(instanceId: InstanceId, limit: number): Promise<readonly QueuedContact[]>;
  /** What the calls for these contacts might bring. */
  answer(contacts: readonly QueuedContact[], askedAtMs: number): LookupRecord[];
}

const connections = 10;
/** As the worker sets them (app.ts). */
const leaseConnections = 4;
const inFlightMs = 90_000;

/** One answer in so many brings another avatar. */
const answersPerChange = 20;

export async function openStage(base: Base, instanceIds: readonly InstanceId[]): Promise<Stage> {
  const { config, databaseUrl, closer } = base;
  const database = await openDatabase({ url: databaseUrl, maxConnections: connections });
  closer.add("database", () => database.close());
  const leases = await openDatabase({
    url: databaseUrl,
    maxConnections: leaseConnections,
    readsByIndex: true,
  });
  closer.add("leases", () => leases.close());
  const { requestsPerSecond, refresh } = config;
  const settings = {
    requestsPerSecond,
    inFlightMs,
    hashErased: (chatId: string) => chatId,
    keepsImages: false,
  };
  const ledger = createRunLedger(database, settings, leases);
  return {
    base,
    database,
    ledger,
    instanceIds,
    processId: randomUUID(),
    readDue: async (instanceId, limit) => {
      const after = { by: -1, contactId: 0 };
      const requests = priorities.flatMap((priority) =>
        [false, true].map((isTurned) => ({ instanceId, priority, isTurned, after, limit })),
      );
      return (await ledger.readDue(requests)).flat().slice(0, limit);
    },
    answer: (contacts, askedAtMs) =>
      contacts.map((contact) => {
        const decision = decide(contact, askedAtMs);
        const { contactId } = contact;
        return {
          contactId,
          instanceId: instanceIds[0]!,
          epoch: 0,
          askedAtMs,
          decision,
          refresh: planRefresh(contact, decision, new Date(askedAtMs), refresh),
        };
      }),
  };
}

const urlLifeMs = 10 * 86_400_000;

/** Mostly as it was. */
function decide({ contactId, past }: QueuedContact, askedAtMs: number): ContactDecision {
  switch (past.status) {
    case "present": {
      const hasChanged = Math.random() < 1 / answersPerChange || past.version === undefined;
      const version = hasChanged
        ? `https://pps.whatsapp.net/v/t61.24694-24/${contactId}_${askedAtMs}_n.jpg`
        : past.version;
      const url = `${version}?ccb=11-4&oh=${String(askedAtMs).repeat(5)}&oe=68F0A1B2`;
      const urlExpiresAt = new Date(askedAtMs + urlLifeMs);
      return {
        kind: "answer",
        status: "present",
        avatar: { kind: "seen", url, urlExpiresAt, version },
        note: undefined,
      };
    }
    case "unreachable":
    case "unknown":
      return { kind: "give-up", error: "no answer, five times" };
    case "absent":
      return { kind: "answer", status: "absent", avatar: { kind: "none" }, note: undefined };
    case "hidden":
    case "invalid":
      return { kind: "answer", status: past.status, avatar: { kind: "keep" }, note: undefined };
  }
}
