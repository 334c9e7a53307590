import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { SaveReport } from "../../src/domain/ledger/run-ledger.ts";
import type { LookupRecord } from "../../src/domain/ledger/lookup-record.ts";
import { createSaveBuffer } from "../../src/worker/run/save-buffer.ts";
import { eventually } from "../support/eventually.ts";
import { createGate } from "../support/gate.ts";

const transient = new Error("try again");
const poison = new Error("never");
const never = () => new AbortController().signal;

const toRecord = (contactId: number, askedAtMs = contactId): LookupRecord => ({
  contactId,
  instanceId: "1101000001" as InstanceId,
  epoch: 1,
  askedAtMs,
  decision: { kind: "give-up", error: "x" },
  refresh: undefined,
});

/** A ledger whose answer to each statement the test decides. */
function openBuffer(
  answer: (
    records: readonly LookupRecord[],
    call: number,
  ) => Promise<Partial<SaveReport> | void> | Partial<SaveReport> | void,
) {
  const calls: LookupRecord[][] = [];
  const saved: LookupRecord[] = [];
  const refused: LookupRecord[] = [];
  /** Contacts whose records are no more this process's business, and why. */
  const settled: string[] = [];
  let delays = 0;
  let setAside = 0;
  const buffer = createSaveBuffer({
    ledger: {
      async saveLookups(records) {
        calls.push([...records]);
        return {
          setAside: new Set(),
          left: new Set(),
          imageWanted: new Set(),
          ...(await answer(records, calls.length)),
        };
      },
    },
    isTransient: (error) => error === transient,
    settled: (records, how) => settled.push(...records.map(({ contactId }) => `${contactId} ${how}`)),
    events: {
      saved: (records) => saved.push(...records),
      savesSetAside: ({ records }) => (setAside += records),
      saveDelayed: () => (delays += 1),
      saveRefused: (record) => refused.push(record),
    },
  });
  return { buffer, calls, saved, refused, settled, countDelays: () => delays, countSetAside: () => setAside };
}

const byContact = (list: readonly LookupRecord[]) =>
  list.toSorted((a, b) => a.contactId - b.contactId).map(({ askedAtMs }) => askedAtMs);

describe("a save buffer", () => {
  test("writes what comes in the same moment with one statement, by itself", async () => {
    const { buffer, calls, saved } = openBuffer(() => undefined);
    const records = [1, 2, 3].map((id) => toRecord(id));
    for (const record of records) buffer.add(record);
    await eventually(() => expect(saved).toEqual(records));
    expect(calls).toEqual([records]);
  });

  test("never puts two records of one contact, or more than 500, into one statement, and saves them in order", async () => {
    const contactIds = fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 1_500 });
    await fc.assert(
      fc.asyncProperty(contactIds, async (ids) => {
        const { buffer, calls, saved } = openBuffer(() => undefined);
        const records = ids.map((id, at) => toRecord(id, at));
        for (const record of records) buffer.add(record);
        await buffer.drain(never());
        for (const call of calls) {
          expect(new Set(call.map(({ contactId }) => contactId)).size).toBe(call.length);
          expect(call.length).toBeLessThanOrEqual(500);
        }
        expect(byContact(saved)).toEqual(byContact(records));
      }),
      { numRuns: 8 },
    );
  });

  test("tries again what Postgres does not take now, and then goes on", async () => {
    const { buffer, saved, settled, countDelays } = openBuffer((_, call) => {
      if (call <= 2) throw transient;
      expect(settled).toEqual([]);
    });
    buffer.add(toRecord(1));
    await eventually(() => expect(saved).toEqual([toRecord(1)]));
    expect(settled).toEqual(["1 saved"]);
    expect(countDelays()).toBe(2);
  });

  test("lets a record that Postgres never takes cost nobody else an answer", async () => {
    const { buffer, saved, refused, settled } = openBuffer((records) => {
      if (records.some(({ contactId }) => contactId === 2)) throw poison;
    });
    for (const id of [1, 2, 3]) buffer.add(toRecord(id));
    await buffer.drain(never());
    expect(saved).toEqual([toRecord(1), toRecord(3)]);
    expect(refused).toEqual([toRecord(2)]);
    expect(settled).toEqual(["1 saved", "2 refused", "3 saved"]);
  });

  test("keeps a record that is refused for the moment only, while others are sorted out one by one", async () => {
    let fails = 1;
    const { buffer, saved, refused } = openBuffer((records) => {
      if (records.some(({ contactId }) => contactId === 2)) throw poison;
      if (records[0]?.contactId === 3 && records.length === 1 && fails > 0) {
        fails -= 1;
        throw transient;
      }
    });
    for (const id of [1, 2, 3]) buffer.add(toRecord(id));
    await buffer.drain(never());
    expect(refused).toEqual([toRecord(2)]);
    expect(saved).toEqual([toRecord(1), toRecord(3)]);
  });

  test("takes what is added while a statement is under way", async () => {
    const gate = createGate();
    const { buffer, calls, saved } = openBuffer((_, call) => (call === 1 ? gate.opened : undefined));
    buffer.add(toRecord(1));
    await eventually(() => expect(calls).toHaveLength(1));
    buffer.add(toRecord(1, 2));
    buffer.add(toRecord(2));
    gate.open();
    await eventually(() => expect(saved).toHaveLength(3));
    expect(calls).toHaveLength(2);
  });
});

describe("a record whose contact another transaction holds", () => {
  test("is the ledger's business once it is put aside, and costs the others nothing", async () => {
    const { buffer, calls, saved, settled, countSetAside } = openBuffer(() => ({ setAside: new Set([2]) }));
    for (const id of [1, 2, 3]) buffer.add(toRecord(id));
    await buffer.drain(never());
    expect(saved).toEqual([toRecord(1), toRecord(3)]);
    expect(countSetAside()).toBe(1);
    expect(calls).toHaveLength(1);
    expect(settled).toEqual(["1 saved", "2 saved", "3 saved"]);
  });

  test("is saved again where it could not be put aside, and is not settled until then", async () => {
    const { buffer, calls, saved, settled } = openBuffer((_, call) =>
      call < 3 ? { left: new Set([2]) } : undefined,
    );
    for (const id of [1, 2]) buffer.add(toRecord(id));
    await eventually(() => expect(calls).toHaveLength(2));
    expect(settled).toEqual(["1 saved"]);
    buffer.add(toRecord(3));
    await eventually(() => expect(saved).toHaveLength(3));
    expect(settled.toSorted()).toEqual(["1 saved", "2 saved", "3 saved"]);
  });

  test("keeps a drain no longer than its signal", async () => {
    const stopping = new AbortController();
    const { buffer, calls } = openBuffer(() => ({ left: new Set([1]) }));
    buffer.add(toRecord(1));
    const drained = buffer.drain(stopping.signal);
    await eventually(() => expect(calls.length).toBeGreaterThan(1));
    stopping.abort();
    await drained;
  });
});

describe("draining", () => {
  test("an empty buffer ends at once, also with a signal that is aborted already", async () => {
    const { buffer, calls } = openBuffer(() => undefined);
    await buffer.drain(never());
    await buffer.drain(AbortSignal.abort());
    expect(calls).toEqual([]);
  });

  test("resolves when everything is written, however many statements it takes", async () => {
    const { buffer, saved } = openBuffer(() => undefined);
    for (let at = 0; at < 5; at += 1) buffer.add(toRecord(1, at));
    await buffer.drain(never());
    expect(saved).toHaveLength(5);
  });

  test("waits for the statement under way", async () => {
    const gate = createGate();
    const { buffer, calls, saved } = openBuffer(() => gate.opened);
    buffer.add(toRecord(1));
    await eventually(() => expect(calls).toHaveLength(1));
    const drained = buffer.drain(never()).then(() => saved.length);
    gate.open();
    expect(await drained).toBe(1);
  });

  test("ends with its signal when Postgres stays away, and tries no longer then", async () => {
    const stopping = new AbortController();
    const { buffer, calls, saved, countDelays } = openBuffer(() => {
      throw transient;
    });
    buffer.add(toRecord(1));
    const drained = buffer.drain(stopping.signal);
    await eventually(() => expect(countDelays()).toBeGreaterThan(1));
    stopping.abort();
    await drained;
    expect(saved).toEqual([]);
    const callsThen = calls.length;
    await new Promise(setImmediate);
    expect(calls.length).toBeLessThanOrEqual(callsThen + 1);
  });

  test("ends with its signal when a statement never comes back", async () => {
    const stopping = new AbortController();
    const { buffer, calls } = openBuffer(() => new Promise<void>(() => undefined));
    buffer.add(toRecord(1));
    await eventually(() => expect(calls).toHaveLength(1));
    const drained = buffer.drain(stopping.signal);
    stopping.abort();
    await drained;
  });

  test("is followed by records that still come, written at once", async () => {
    const { buffer, saved } = openBuffer(() => undefined);
    await buffer.drain(never());
    buffer.add(toRecord(1));
    await eventually(() => expect(saved).toEqual([toRecord(1)]));
  });
});
