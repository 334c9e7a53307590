import fc from "fast-check";
import { expect, test } from "vitest";
import { CallLog } from "../../src/simulator/world/call-log.ts";

function record(log: CallLog, at: number): number {
  const index = log.open(at, `${at % 3}`, "getAvatar");
  log.setChatId(index, `chat ${at}`);
  return index;
}

test("a log keeps the newest calls in order, whatever its capacity and wherever it was cleared", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2500 }),
      fc.integer({ min: 0, max: 6000 }),
      fc.integer({ min: 0, max: 6000 }),
      (capacity, before, after) => {
        const log = new CallLog(capacity);
        for (let at = 0; at < before; at += 1) record(log, at);
        log.clear();
        expect(log.read()).toEqual([]);
        for (let at = before; at < before + after; at += 1) record(log, at);
        const kept = log.read();
        expect(kept.length).toBe(Math.min(after, capacity));
        expect(log.forgotten).toBe(Math.max(0, after - capacity));
        for (const [position, call] of kept.entries()) {
          const at = before + after - kept.length + position;
          expect(call).toMatchObject({ index: at, at, chatId: `chat ${at}`, instanceId: `${at % 3}` });
        }
      },
    ),
    { numRuns: 30 },
  );
});

test("the end of a call that is no longer in the log changes no other call", () => {
  const log = new CallLog(2);
  const forgotten = record(log, 1);
  record(log, 2);
  const kept = record(log, 3);
  log.finish(forgotten, 500, "server-error-500", 9);
  log.finish(kept, 200, "present", 5);
  expect(log.read()).toMatchObject([
    { at: 2, status: 0, outcome: "pending" },
    { at: 3, status: 200, outcome: "present", tookMs: 5 },
  ]);
  log.clear();
  log.finish(kept, 500, "server-error-500", 9);
  record(log, 4);
  expect(log.read()).toMatchObject([{ at: 4, status: 0 }]);
});

test("filters hold together, and a limit pages forward from an index", () => {
  const log = new CallLog(100);
  for (let at = 0; at < 30; at += 1) log.finish(record(log, at), at % 2 === 0 ? 200 : 429, "absent", 1);
  const page = log.read({ instanceId: "0", status: 200, fromIndex: 7, limit: 2 });
  expect(page.map((call) => call.index)).toEqual([12, 18]);
  expect(log.read({ chatId: "chat 5", method: "getStateInstance" })).toEqual([]);
});
