import fc from "fast-check";
import { expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { LookupRecord } from "../../src/domain/ledger/lookup-record.ts";
import { createRecordQueue, maxBatch, splitBatch } from "../../src/worker/run/record-queue.ts";

const toRecord = (contactId: number, askedAtMs: number): LookupRecord => ({
  contactId,
  instanceId: "1101000001" as InstanceId,
  epoch: 1,
  askedAtMs,
  decision: { kind: "give-up", error: "x" },
  refresh: undefined,
});

test("a batch takes of each contact the first record, as many as it may, and leaves the rest in its order", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(700), { maxLength: 1_500 }), (ids) => {
      const records = ids.map((id, at) => toRecord(id, at));
      const firsts = records.filter(({ contactId }, at) => ids.indexOf(contactId) === at);
      const { batch, later } = splitBatch(records);
      expect(batch).toEqual(firsts.slice(0, maxBatch));
      expect(later).toEqual(records.filter((record) => !batch.includes(record)));
    }),
  );
});

test("a record that was put back is written by a later statement, once", () => {
  const queue = createRecordQueue(0);
  const [first, second] = [toRecord(1, 1), toRecord(2, 2)];
  queue.add(first);
  queue.add(second);
  expect(queue.take()).toEqual([first, second]);
  expect(queue.size).toBe(0);
  queue.putBack([first]);
  expect(queue.size).toBe(1);
  queue.settle();
  expect(queue.take()).toEqual([first]);
  queue.settle();
  expect(queue.take()).toEqual([]);
});
