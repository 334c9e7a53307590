import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { makeChats, openStage, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
const rate = 20;
const cap = 60;
/** Calls of a second and a half are reserved: a process that is killed takes no more of them along. */
const reserved = 1.5 * rate;
/** Zones whose dates always differ. */
const [west, east] = ["Etc/GMT+12", "Pacific/Kiritimati"];

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
  await stage.addInstance(instanceId, { rps: rate });
  await stage.acceptChats(instanceId, makeChats(1_000));
});
afterAll(() => stage.close());

const countCalls = () => stage.simulator.readLog({ instanceId, method: "getAvatar" }).length;

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await stage.run(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

const readRow = async () => {
  const { rows } = await stage.database.pool.query<{ calls_today: number; lease_owner: string | null }>(
    "select calls_today, lease_owner from avatars.instances",
  );
  return rows[0]!;
};

const isUsedUp = async () => expect(await readRow()).toEqual({ calls_today: cap, lease_owner: null });

test("a cap of calls a day holds over all workers, whoever is killed, and begins anew with the next day", async () => {
  expect(await run("instance", "set", instanceId, "--per-day", String(cap), "--time-zone", west)).toBe(
    `instance 1101000001: calls a day (no cap) → 60\ninstance 1101000001: time zone UTC → ${west}\n`,
  );
  const workers = await Promise.all([stage.startWorker(), stage.startWorker()]);
  await eventually(() => expect(countCalls()).toBeGreaterThan(rate));
  const killed = workers.map(async ({ child, ended }) => {
    child.kill("SIGKILL");
    await ended;
  });
  await Promise.all([...killed, stage.startWorker(), stage.startWorker()]);
  await eventually(isUsedUp);
  const firstDay = countCalls();
  expect(firstDay).toBeLessThanOrEqual(cap);
  expect(firstDay).toBeGreaterThanOrEqual(cap - reserved);

  const [status, list, shown] = await Promise.all([
    run("status"),
    run("instance", "list"),
    run("instance", "show", instanceId),
  ]);
  const reached = String.raw`cap reached: 60 of 60 today, goes on at 00:00 Etc/GMT\+12`;
  expect(status).toMatch(new RegExp(`^1101000001 ${reached}$`, "m"));
  expect(list).toMatch(new RegExp(`^1101000001 +active: ${reached} `, "m"));
  expect(shown).toMatch(/^calls a day +60 \(60 today\)$/m);
  // Some 950 contacts take 15 more days of the cap, whatever the rate.
  expect(shown).toMatch(/^ETA +1[456] d \d+ h$/m);
  expect(countCalls()).toBe(firstDay);

  await run("instance", "set", instanceId, "--time-zone", east);
  await eventually(() => expect(countCalls()).toBeGreaterThan(firstDay));
  await eventually(isUsedUp);
  expect(countCalls()).toBe(firstDay + cap);
});

test("quiet hours stop the calls of all workers within two seconds, and their end lets them go on", async () => {
  const now = new Date();
  const toTime = (hours: number) => `${String((now.getUTCHours() + hours + 24) % 24).padStart(2, "0")}:30`;
  const quiet = `${toTime(-2)}-${toTime(3)}`;
  const before = countCalls();
  await run("instance", "set", instanceId, "--per-day", "none", "--time-zone", "UTC");
  await eventually(() => expect(countCalls()).toBeGreaterThan(before + rate));
  expect(await run("instance", "set", instanceId, "--quiet", quiet)).toBe(
    `instance 1101000001: quiet hours (none) → ${quiet}\n`,
  );
  const atSet = countCalls();
  await eventually(async () => expect((await readRow()).lease_owner).toBeNull());
  const atEnd = countCalls();
  expect(atEnd - atSet).toBeLessThan(2 * rate);
  const [status, check] = await Promise.all([run("status"), run("status", "--check")]);
  expect(status).toContain(`1101000001 quiet until ${toTime(3)} UTC`);
  expect(check).toMatch(/^ok: /);
  expect(countCalls()).toBe(atEnd);
  await run("instance", "set", instanceId, "--quiet", "none");
  await eventually(() => expect(countCalls()).toBeGreaterThan(atEnd + rate));
});
