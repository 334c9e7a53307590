import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Hold } from "../../src/domain/hold.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger.ts";
import { probeNow } from "../../src/store/holds.ts";
import { findInstance, putInstance, setPaused } from "../../src/store/instances.ts";
import { createRunLedger } from "../../src/store/run-ledger.ts";
import { addInstance, paceSettings, readDatabaseNow } from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());

const hourMs = 3_600_000;
const hold: Hold = { reason: "blocked", baseMs: hourMs, maxMs: 10 * hourMs, text: "blocked" };

const letHoldRunOut = async (id: InstanceId) =>
  database.pool.query("update avatars.instances set held_until = clock_timestamp() where id = $1", [id]);

/** After whatever the database's clock says now, though it counts in microseconds. */
const askedNow = () => Date.now() + 1_000;

describe("a hold", () => {
  test("begins now, says why, and returns until when", async () => {
    const id = await addInstance(database);
    const from = await readDatabaseNow(database.pool);
    const until = await ledger.holdInstance(id, hold, askedNow());
    const view = await findInstance(database, id);
    expect(view).toMatchObject({ state: "held", heldReason: "blocked", heldUntil: until });
    expect(until?.getTime()).toBeGreaterThanOrEqual(Math.floor(from) + hourMs);
    expect(view?.heldSince?.getTime()).toBeGreaterThanOrEqual(Math.floor(from));
  });

  test("is reported by many calls in flight and counted once", async () => {
    const id = await addInstance(database);
    const first = await ledger.holdInstance(id, hold, askedNow());
    const before = await findInstance(database, id);
    const others = await Promise.all(
      Array.from({ length: 5 }, async () =>
        ledger.holdInstance(id, { ...hold, reason: "expired" }, askedNow()),
      ),
    );
    expect(first).toBeInstanceOf(Date);
    expect(others).toEqual(Array(5).fill(undefined));
    expect(await findInstance(database, id)).toEqual(before);
  });

  test("doubles with each one in a row up to its maximum, counted from the first", async () => {
    const id = await addInstance(database);
    const waits: number[] = [];
    const since = new Set<number | undefined>();
    for (let holds = 0; holds < 6; holds += 1) {
      const { rows } = await database.pool.query<{ wait: number }>(
        "select extract(epoch from ($1::timestamptz - clock_timestamp()))::float8 / 3600 as wait",
        [await ledger.holdInstance(id, hold, askedNow())],
      );
      waits.push(Math.round(rows[0]?.wait ?? Number.NaN));
      since.add((await findInstance(database, id))?.heldSince?.getTime());
      await letHoldRunOut(id);
    }
    expect(waits).toEqual([1, 2, 4, 8, 10, 10]);
    expect(since.size).toBe(1);
  });

  test("is not opened again by the late answer to a call that was sent before it ran out", async () => {
    const id = await addInstance(database);
    const askedBefore = Date.now() - 1_000;
    expect(await ledger.holdInstance(id, hold, askedBefore)).toBeInstanceOf(Date);
    await letHoldRunOut(id);
    expect(await ledger.holdInstance(id, hold, askedBefore)).toBeUndefined();
    await ledger.endHold(id);
    expect(await ledger.holdInstance(id, hold, askedBefore)).toBeUndefined();
    expect(await findInstance(database, id)).toMatchObject({ state: "active" });
    expect(await ledger.holdInstance(id, hold, askedNow())).toBeInstanceOf(Date);
  });

  test("that ended with a good answer is forgotten: the next one is short again", async () => {
    const id = await addInstance(database);
    await ledger.holdInstance(id, hold, askedNow());
    await letHoldRunOut(id);
    await ledger.holdInstance(id, hold, askedNow());
    await ledger.endHold(id);
    expect(await findInstance(database, id)).toMatchObject({
      state: "active",
      heldReason: undefined,
      heldSince: undefined,
      heldUntil: undefined,
    });
    const from = await readDatabaseNow(database.pool);
    const until = await ledger.holdInstance(id, hold, askedNow());
    expect(until?.getTime()).toBeLessThan(from + 2 * hourMs);
  });

  test("neither holds nor ends what a person has paused", async () => {
    const id = await addInstance(database);
    await setPaused(database, id, true);
    expect(await ledger.holdInstance(id, hold, askedNow())).toBeUndefined();
    await ledger.endHold(id);
    await probeNow(database.pool, id);
    expect(await findInstance(database, id)).toMatchObject({ state: "paused", heldUntil: undefined });
  });

  test("can be probed at once, and ends with new credentials", async () => {
    const id = await addInstance(database);
    await ledger.holdInstance(id, hold, askedNow());
    await probeNow(database.pool, id);
    const probing = await findInstance(database, id);
    expect(probing?.state).toBe("held");
    expect(probing?.heldUntil?.getTime()).toBeLessThanOrEqual(await readDatabaseNow(database.pool));
    await putInstance(database, { id, apiUrl: "http://127.0.0.1:9", sealedToken: "another" });
    expect(await findInstance(database, id)).toMatchObject({ state: "active", heldUntil: undefined });
  });

  test("of an instance that is gone is nothing", async () => {
    expect(await ledger.holdInstance("999" as InstanceId, hold, askedNow())).toBeUndefined();
    await ledger.endHold("999" as InstanceId);
  });
});
