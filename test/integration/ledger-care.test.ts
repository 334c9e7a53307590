import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findDay, isQuiet } from "../../src/domain/care/care-clock.ts";
import type { QuietHours } from "../../src/domain/care/care.ts";
import type { DayCalls } from "../../src/domain/ledger/lease.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { findDueInstances, findStalledInstances } from "../../src/store/work/find-due-instances.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { acceptContacts, addInstance, ask, paceSettings, toChatId } from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());

/** Of the default rate a lease has 15 calls reserved. */
const reserved = 15;

const set = async (id: InstanceId, assignments: string) =>
  database.pool.query(`update avatars.instances set ${assignments} where id = $1`, [id]);

async function openInstance(assignments: string, priority = 1): Promise<InstanceId> {
  const id = await addInstance(database);
  await set(id, assignments);
  await acceptContacts(database.pool, id, [toChatId(1)], { priority });
  return id;
}

async function readCallsToday(id: InstanceId): Promise<number | null> {
  const { rows } = await database.pool.query<{ calls_today: number | null }>(
    "select calls_today from avatars.instances where id = $1",
    [id],
  );
  return rows[0]?.calls_today ?? null;
}

const heldOf = (instanceId: InstanceId, epoch: number, spent: DayCalls | undefined) => ({
  instanceId,
  epoch,
  calls: 0,
  turns: [0, 0, 0] as const,
  spent,
});

async function renew(owner: string, instanceId: InstanceId, epoch: number, spent: DayCalls | undefined) {
  const { leases } = await ledger.renewLeases(owner, [heldOf(instanceId, epoch, spent)]);
  const [renewal] = leases;
  if (renewal?.kind !== "renewed") throw new Error(`it is ${renewal?.kind}`);
  return { granted: renewal.allowance?.grant, refusal: renewal.refusal, instance: renewal.instance };
}

const handOver = async (owner: string, id: InstanceId, epoch: number, spent: DayCalls | undefined) =>
  ledger.handOver(owner, { ...heldOf(id, epoch, spent), nextCallInMs: 0, recentAgesMs: [], inFlight: [] });

const isFound = async (id: InstanceId) => (await findDueInstances(database.pool)).includes(id);

describe("a cap", () => {
  test("is counted before the calls are made, and no more is granted than it allows", async () => {
    const id = await openInstance("calls_per_day = 40");
    const { owner, epoch, allowance } = await ask(ledger, id);
    const day = new Date().toISOString().slice(0, 10);
    expect(allowance?.grant).toEqual({ day, calls: reserved });
    expect(allowance?.endsInMs).toBeGreaterThan(0);
    expect(allowance?.endsInMs).toBeLessThanOrEqual(86_400_000);
    expect(await readCallsToday(id)).toBe(reserved);

    expect((await renew(owner, id, epoch, { day, calls: 10 })).granted).toEqual({ day, calls: 25 });
    // The same again, as after an answer that was lost; and an older one, which comes late.
    expect((await renew(owner, id, epoch, { day, calls: 10 })).granted).toEqual({ day, calls: 25 });
    expect((await renew(owner, id, epoch, { day, calls: 3 })).granted).toEqual({ day, calls: 25 });
    expect(await readCallsToday(id)).toBe(25);

    const last = await renew(owner, id, epoch, { day, calls: 30 });
    expect(last).toMatchObject({ granted: { day, calls: 40 }, refusal: undefined });
    expect((await renew(owner, id, epoch, { day, calls: 40 })).refusal).toBe("capped");
    await handOver(owner, id, epoch, { day, calls: 40 });
    expect(await ledger.takeLease(id, randomUUID())).toEqual({ kind: "capped" });
    expect(await isFound(id)).toBe(false);
  });

  test("has back what a lease has not spent, and not what one that is dead may have", async () => {
    const id = await openInstance("calls_per_day = 40");
    const first = await ask(ledger, id);
    const { day } = first.allowance!.grant!;
    await handOver(first.owner, id, first.epoch, { day, calls: 4 });
    expect(await readCallsToday(id)).toBe(4);
    // Late, and again.
    await handOver(first.owner, id, first.epoch, { day, calls: 4 });
    expect(await readCallsToday(id)).toBe(4);

    const second = await ask(ledger, id);
    expect(await readCallsToday(id)).toBe(4 + reserved);
    await ledger.endDeadLeases(await ledger.listLeases(first.owner));
    await handOver(second.owner, id, second.epoch, { day, calls: 0 });
    const third = await ask(ledger, id);
    expect(await readCallsToday(id)).toBe(4 + 2 * reserved);
    expect(third.allowance?.grant).toEqual({ day, calls: reserved });
  });

  test("begins anew with the day, for a lease that goes on as well", async () => {
    const id = await openInstance("calls_per_day = 20");
    const { owner, epoch, allowance } = await ask(ledger, id);
    const { day } = allowance!.grant!;
    const before = new Date(Date.parse(day) - 86_400_000).toISOString().slice(0, 10);
    await set(id, "calls_day = calls_day - 1, calls_today = 20, calls_granted = 20");
    // What was spent the day before is no matter of the new one.
    expect(await renew(owner, id, epoch, { day: before, calls: 20 })).toMatchObject({
      granted: { day, calls: reserved },
      refusal: undefined,
    });
    expect(await readCallsToday(id)).toBe(reserved);
  });

  test("of yesterday that was reached does not stop the sweep today, nor does one of tomorrow begin a day twice", async () => {
    const id = await openInstance("calls_per_day = 20, calls_today = 20, calls_day = now()::date - 1");
    expect(await isFound(id)).toBe(true);
    // The server's clock was set back.
    await set(id, "calls_day = now()::date + 1");
    expect(await ledger.takeLease(id, randomUUID())).toEqual({ kind: "capped" });
    await set(id, "calls_day = now()::date + 2");
    expect(await ledger.takeLease(id, randomUUID())).toMatchObject({ kind: "taken" });
  });

  test("that is not set counts nothing", async () => {
    const id = await openInstance("quiet_from = null");
    const { allowance } = await ask(ledger, id);
    expect(allowance).toBeUndefined();
    expect(await readCallsToday(id)).toBeNull();
  });

  test("that is reached is no standstill that a check complains of", async () => {
    const id = await openInstance("calls_per_day = 20, calls_today = 20, calls_day = now()::date");
    const long = "now() - interval '1 hour'";
    await set(id, `next_call_at = ${long}`);
    await database.pool.query(`update avatars.contacts set due_at = ${long} where instance_id = $1`, [id]);
    // Just after midnight it was another day two minutes ago.
    await set(id, "calls_day = (now() - interval '2 minutes')::date");
    expect(await findStalledInstances(database.pool)).not.toContain(id);
    await set(id, "calls_today = 19");
    expect(await findStalledInstances(database.pool)).toContain(id);
  });
});

/** Minutes of the day, in UTC, from some before now to some after it. */
function aroundNow(before: number, after: number): QuietHours {
  const now = new Date();
  const minute = now.getUTCHours() * 60 + now.getUTCMinutes();
  return { from: (minute - before + 1_440) % 1_440, until: (minute + after) % 1_440 || 1_440 };
}
const toQuiet = ({ from, until }: QuietHours) => `quiet_from = ${from}, quiet_until = ${until}`;

describe("quiet hours", () => {
  test("give no lease, wake no run, and stop a lease that there is", async () => {
    const quiet = toQuiet(aroundNow(60, 120));
    const id = await openInstance(quiet);
    expect(await ledger.takeLease(id, randomUUID())).toEqual({ kind: "quiet" });
    expect(await isFound(id)).toBe(false);
    await set(id, "quiet_from = null, quiet_until = null");
    expect(await isFound(id)).toBe(true);
    const { owner, epoch } = await ask(ledger, id);
    await set(id, quiet);
    expect((await renew(owner, id, epoch, undefined)).refusal).toBe("quiet");
  });

  test("that are to come end what a renewal allows", async () => {
    const id = await openInstance(toQuiet(aroundNow(-30, 120)));
    const { allowance } = await ask(ledger, id);
    expect(allowance?.grant).toBeUndefined();
    expect(allowance?.endsInMs).toBeGreaterThan(28 * 60_000);
    expect(allowance?.endsInMs).toBeLessThanOrEqual(30 * 60_000);
  });

  test("with their exception give a lease for what a person waits for", async () => {
    const quiet = `${toQuiet(aroundNow(60, 120))}, quiet_interactive = true`;
    const [without, urgent] = [await openInstance(quiet), await openInstance(quiet, 0)];
    expect(await ledger.takeLease(without, randomUUID())).toEqual({ kind: "quiet" });
    expect(await isFound(without)).toBe(false);
    expect(await isFound(urgent)).toBe(true);
    const { owner, epoch, instance } = await ask(ledger, urgent);
    expect(instance.interactiveOnly).toBe(true);
    expect(await renew(owner, urgent, epoch, undefined)).toMatchObject({
      refusal: undefined,
      instance: { interactiveOnly: true },
    });
  });
});

describe("the clock on the wall", () => {
  const zones = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Africa/Cairo",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
  ];
  const anyMoment = fc.record({
    timeZone: fc.constantFrom(...zones),
    atMs: fc.oneof(
      fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2028, 0, 1) }),
      // Around changes of the clock in Berlin and Cairo.
      fc
        .tuple(
          fc.constantFrom(
            Date.UTC(2026, 2, 29, 1),
            Date.UTC(2026, 9, 25, 1),
            Date.UTC(2026, 3, 23, 22),
            Date.UTC(2026, 9, 29, 21),
          ),
          fc.integer({ min: -7_200_000, max: 7_200_000 }),
        )
        .map(([at, by]) => at + by),
    ),
    quiet: fc
      .tuple(fc.integer({ min: 0, max: 1_439 }), fc.integer({ min: 1, max: 1_440 }))
      .filter(([from, until]) => from !== until),
  });

  test("shows the same to Postgres as to this process", async () => {
    const moments = fc.sample(anyMoment, { numRuns: 3_000, seed: 7 });
    const { rows } = await database.pool.query<{ is_quiet: boolean; day: string }>(
      `select avatars.is_quiet(to_timestamp(m.at / 1000), m.quiet_from::smallint, m.quiet_until::smallint, m.zone) as is_quiet,
         avatars.day_to_count(to_timestamp(m.at / 1000), m.zone, null)::text as day
       from unnest($1::float8[], $2::int[], $3::int[], $4::text[]) with ordinality as m (at, quiet_from, quiet_until, zone, place)
       order by m.place`,
      [
        moments.map(({ atMs }) => atMs),
        moments.map(({ quiet: [from] }) => from),
        moments.map(({ quiet: [, until] }) => until),
        moments.map(({ timeZone }) => timeZone),
      ],
    );
    const told = moments.map(({ atMs, quiet: [from, until], timeZone }) => {
      const care = {
        callsPerDay: undefined,
        quiet: { from, until },
        quietInteractive: false,
        timeZone,
      };
      return {
        is_quiet: isQuiet(care, atMs),
        day: new Date(findDay(care, atMs)).toISOString().slice(0, 10),
      };
    });
    expect(rows).toEqual(told);
  });

  test("of a zone that Postgres knows no more is UTC's, and stops no one's calls", async () => {
    const id = await openInstance("calls_per_day = 5, time_zone = 'Europe/Atlantis'");
    const { allowance } = await ask(ledger, id);
    expect(allowance?.grant).toEqual({ day: new Date().toISOString().slice(0, 10), calls: 5 });
  });
});
