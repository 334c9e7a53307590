import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { expiringUrlStep, neverAskedStep, toStep } from "../../src/domain/refresh/refresh-step.ts";
import { eventually } from "../support/eventually.ts";
import { addResting, type RestingContact } from "../support/resync.ts";
import { makeChats, openStage, type Stage } from "../support/stage.ts";

const dayMs = 86_400_000;
const week = toStep(7 * dayMs);
const inDays = (days: number) => new Date(Date.now() + days * dayMs);
/** Half a day from now. */
const farHour = (new Date().getUTCHours() + 12) % 24;
const pad = (hour: number) => String(hour % 24).padStart(2, "0");

let stage: Stage;

function many(count: number, name: string, contact: Partial<RestingContact> = {}): RestingContact[] {
  return Array.from({ length: count }, () => ({ name, step: week, refreshAt: inDays(-3), ...contact }));
}

async function addInstance(id: string, rps: number, contacts: readonly RestingContact[]): Promise<void> {
  await stage.addInstance(id, { rps });
  await addResting(stage.database.pool, id as InstanceId, contacts);
}

/** What a command prints as JSON that does what it is told. */
async function runJson<Answer>(args: readonly string[], env: Record<string, string> = {}): Promise<Answer> {
  const { code, stdout, stderr } = await stage.run([...args, "--json"], { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Answer;
}

interface Opened {
  readonly instanceId: string;
  readonly runId: number;
  readonly kind: string;
  readonly contacts: number;
}

async function readRuns(instanceId: string): Promise<Record<string, unknown>[]> {
  const { rows } = await stage.database.pool.query<Record<string, unknown>>(
    `select id::int as id, kind, asked, changed, released, left_over, ended_by,
       extract(epoch from clock_timestamp() - opened_at)::float8 as seconds
     from avatars.resync_runs where instance_id = $1 order by id`,
    [instanceId],
  );
  return rows;
}

const readCalls = (instanceId: string) => stage.simulator.readLog({ instanceId, method: "getAvatar" });

/** The names of those that were asked, in this order. */
async function readAsked(instanceId: string): Promise<string[]> {
  const { rows } = await stage.database.pool.query<{ chat_id: string; external_ref: string | null }>(
    "select chat_id, external_ref from avatars.contacts where instance_id = $1",
    [instanceId],
  );
  const names = new Map(rows.map((row) => [row.chat_id, row.external_ref ?? row.chat_id]));
  return readCalls(instanceId).map(({ chatId }) => names.get(chatId) ?? chatId);
}

describe("where nights are switched off", () => {
  const [busy, paused, aged, changing] = ["1101000001", "1101000002", "1101000003", "1101000004"] as const;

  beforeAll(async () => {
    stage = await openStage({
      latencyMs: 20,
      env: { AVATARS_RESYNC_CRON: "off", AVATARS_KEEP_URLS_FRESH: "false" },
    });
    await addInstance(busy, 40, [
      ...many(240, "due"),
      ...many(40, "URL", { step: expiringUrlStep }),
      ...many(20, "new", { step: neverAskedStep, status: "unknown" }),
      ...many(7, "soon", { refreshAt: inDays(0.2) }),
      ...many(9, "not due", { refreshAt: inDays(7) }),
    ]);
    await addInstance(paused, 40, many(5, "due"));
    await stage.database.pool.query("update avatars.instances set state = 'paused' where id = $1", [paused]);
    await addInstance(aged, 40, [
      ...many(1, "40 days", { status: "hidden", checkedAt: inDays(-40), refreshAt: inDays(5) }),
      ...many(1, "31 days", { status: "hidden", checkedAt: inDays(-31), refreshAt: inDays(5) }),
      ...many(1, "35 days", { status: "hidden", checkedAt: inDays(-35) }),
      ...many(1, "5 days", { status: "hidden", checkedAt: inDays(-5) }),
      ...many(1, "present", { checkedAt: inDays(-50) }),
      ...many(1, "invalid", { status: "invalid", checkedAt: inDays(-2), refreshAt: null }),
    ]);
  });

  afterAll(() => stage.close());

  test("what cannot be done is said in one line", async () => {
    const cases: [string[], RegExp][] = [
      [[], /^avatars: say what to do: --dry-run .*--now/],
      [["--dry-run", "--now"], /^avatars: .*give one of them/],
      [["--now", "--where", "status=gone"], /--where.*status= and any of/],
      [["--now", "--where", "kind=channel"], /--where.*kind=group/],
      [["--now", "--where", "hidden"], /--where/],
      [["--now", "--older-than", "soon"], /--older-than/],
      [["--now", "--limit", "0"], /--limit.*Expected 1 to 1000000/],
      [["--now", "--instance", "1101999999"], /there is no instance 1101999999/],
    ];
    const results = await Promise.all(cases.map(([args]) => stage.run(["resync", ...args])));
    for (const [index, { code, stdout, stderr }] of results.entries()) {
      expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: "" });
      expect(stderr.trim().split("\n"), stderr).toHaveLength(1);
      expect(stderr).toMatch(cases[index]![1]);
    }
    expect(await readRuns(busy)).toEqual([]);
  });

  test("a dry run shows what is due and how far a night would get, and does nothing", async () => {
    const night = {
      AVATARS_RESYNC_CRON: `0 ${farHour} * * *`,
      AVATARS_RESYNC_WINDOW: `${pad(farHour)}:00-${pad(farHour + 4)}:00`,
      AVATARS_RESYNC_DAY_SHARE: "0",
      // 40 calls a second, of which 98 % are reached, for four hours: 282.
      AVATARS_RESYNC_SHARE: "0.0005",
    };
    interface Forecast {
      readonly window?: { readonly from: string; readonly until: string };
      readonly instances: readonly Record<string, unknown>[];
    }
    const [planned, off, text, matching, limited] = await Promise.all([
      runJson<Forecast>(["resync", "--dry-run", "--instance", busy], night),
      runJson<Forecast>(["resync", "--dry-run"]),
      stage.run(["resync", "--dry-run"], { env: night }),
      runJson(["resync", "--dry-run", "--instance", aged, "--where", "status=hidden", "--older-than", "30d"]),
      runJson(["resync", "--dry-run", "--instance", busy, "--limit", "50"]),
    ]);
    const dueNow = { requested: 0, "never-asked": 20, "expiring-url": 40, age: 240 };
    expect(planned.window?.from).toContain(`T${pad(farHour)}:00`);
    expect(planned.instances).toMatchObject([
      {
        instanceId: busy,
        state: "active",
        dueNow,
        due: { ...dueNow, age: 247 },
        calls: 282,
        fits: 282,
        leftOver: { requested: 0, "never-asked": 0, "expiring-url": 0, age: 25 },
      },
    ]);
    // Three days late with seven.
    expect(planned.instances[0]?.["stretch"]).toBeCloseTo(1 + 3 / 7, 1);
    expect(off.window).toBeUndefined();
    expect(off.instances).toMatchObject([
      { instanceId: busy, dueNow, calls: 0, fits: 0, leftOver: dueNow },
      { instanceId: paused, state: "paused", dueNow: { age: 5 } },
      { instanceId: aged, dueNow: { age: 3 } },
    ]);
    expect(text).toMatchObject({ code: 0, stderr: "" });
    expect(text.stdout).toMatch(/^the next window: .* with 0(\.05|\.1)? ?% of each instance's calls/);
    expect(text.stdout).toMatch(/^1101000001 +300 +0 +20 +40 +247 +282 .* 25 +1\.4\d?$/m);
    expect(text.stdout).toMatch(
      /^1101000001 has 25 contacts that do not fit: the last of them waits until /m,
    );
    expect(text.stdout).toMatch(
      /^1101000002 is paused: nothing is asked until npx avatars instance resume$/m,
    );
    expect(matching).toEqual([{ instanceId: aged, contacts: 3 }]);
    expect(limited).toEqual([{ instanceId: busy, contacts: 50 }]);
    expect(await readRuns(busy)).toEqual([]);
  });

  describe.concurrent("with a worker", () => {
    beforeAll(async () => {
      await stage.startWorker();
    });

    test("nothing is asked by itself; now means now, behind what others ask for, and twice is once", async ({
      expect: check,
    }) => {
      const { pool } = stage.database;
      // The worker has looked at least once: it keeps its report after its clocks have started.
      await eventually(async () => {
        const { rows } = await pool.query("select from avatars.worker_activity");
        expect(rows.length).toBeGreaterThan(0);
      });
      check([readCalls(busy), await readRuns(busy)]).toEqual([[], []]);
      const [first] = await runJson<Opened[]>(["resync", "--now", "--instance", busy]).catch(() => []);
      check(first).toMatchObject({ instanceId: busy, kind: "manual", contacts: 300 });

      await eventually(() => expect(readCalls(busy).length).toBeGreaterThan(40));
      const chats = makeChats(30);
      await pool.query("select avatars.enqueue($1, $2, 1)", [busy, chats]);
      const from = readCalls(busy).length;
      const between = await eventually(() => {
        const calls = readCalls(busy).map(({ chatId }) => chatId);
        const last = Math.max(...chats.map((chatId) => calls.indexOf(chatId)));
        expect(calls).toEqual(check.arrayContaining(chats));
        return calls.slice(from, last).filter((chatId) => !chats.includes(chatId)).length;
      });
      // What has its slot already, and what a sweep of 5 s leaves to be found: more than 100 are left.
      check(between).toBeLessThan(60);

      const opened = await runJson<Opened[]>(["resync", "--now"]);
      const [second, ofPaused] = opened;
      check(opened.map(({ instanceId }) => instanceId)).toEqual([busy, paused, aged, changing]);
      check(second?.runId).not.toBe(first?.runId);
      check(ofPaused).toMatchObject({ kind: "manual", contacts: 5 });
      await eventually(async () => {
        const runs = await readRuns(busy);
        // Where the first one was done before the second began, it says so.
        expect(runs).toMatchObject([
          { ended_by: expect.stringMatching(/^(manual|done)$/) },
          { ended_by: "done" },
        ]);
        // What the first one had made due already is counted as its own.
        expect(runs.reduce((sum, run) => sum + Number(run["asked"]), 0)).toBe(300);
      });
      const runs = await readRuns(busy);
      check(runs.at(-1)).toMatchObject({ left_over: 0 });
      const asked = await readAsked(busy);
      check(asked.filter((name) => name === "not due" || name === "soon")).toEqual([]);
      check(asked).toHaveLength(330);
      check(readCalls(paused)).toEqual([]);
      check(await readRuns(paused)).toMatchObject([{ kind: "manual", asked: 0, ended_by: null }]);
    });

    test("a filter means those that were not asked for longest, due or not, and no others", async ({
      expect: check,
    }) => {
      const [opened] = await runJson<Opened[]>(
        "resync --now --instance 1101000003 --where status=hidden --older-than 30d --limit 2".split(" "),
      );
      check(opened).toMatchObject({ kind: "manual", contacts: 2 });
      await eventually(() => expect(readCalls(aged)).toHaveLength(2));
      const [others] = await runJson<Opened[]>(
        "resync --now --instance 1101000003 --where status=invalid".split(" "),
      );
      check(others).toMatchObject({ kind: "manual", contacts: 1 });
      await eventually(async () => expect((await readAsked(aged)).toSorted()).toContain("invalid"));
      const asked = (await readAsked(aged)).slice(0, 3);
      check(asked.slice(0, 2).toSorted()).toEqual(["35 days", "40 days"]);
      check(asked[2]).toBe("invalid");
    });

    test("an avatar that changed between two looks is counted, and looked at again sooner", async ({
      expect: check,
    }) => {
      const { pool } = stage.database;
      await stage.addInstance(changing, { rps: 40 });
      const [steady, changed] = ["79005550001@c.us", "79005550002@c.us"];
      for (const chatId of [steady, changed]) stage.simulator.setTruth({ chatId, kind: "present" });
      await pool.query("select avatars.enqueue($1, $2, 1)", [changing, [steady, changed]]);
      await eventually(async () => expect(await stage.countPending(changing)).toBe(0));
      await eventually(() => expect(readCalls(changing)).toHaveLength(2));
      await pool.query(
        `with aged as (
           update avatars.contacts set checked_at = checked_at - interval '60 days', refresh_at = now() - interval '1 day'
           where instance_id = $1 returning id
         ) update avatars.avatars set first_seen_at = first_seen_at - interval '60 days',
             changed_at = changed_at - interval '60 days', seen_at = seen_at - interval '60 days'
           where contact_id in (select id from aged)`,
        [changing],
      );
      stage.simulator.setTruth({ chatId: changed, picture: 1 });
      await runJson(["resync", "--now", "--instance", changing]);
      // A test beside this one refreshes all instances: its run may take over before this one has released anything.
      await eventually(async () => {
        const runs = await readRuns(changing);
        const sum = (count: "asked" | "changed") => runs.reduce((all, run) => all + Number(run[count]), 0);
        expect({ asked: sum("asked"), changed: sum("changed") }).toEqual({ asked: 2, changed: 1 });
      });
      const { rows } = await pool.query<{ chat_id: string; refresh_at: Date; changes: number }>(
        `select c.chat_id, c.refresh_at, a.changes from avatars.contacts c join avatars.avatars a on a.contact_id = c.id
         where c.instance_id = $1 order by c.refresh_at`,
        [changing],
      );
      check(rows).toMatchObject([
        { chat_id: changed, changes: 1 },
        { chat_id: steady, changes: 0 },
      ]);
      check(rows[0]!.refresh_at > new Date()).toBe(true);
      check(rows[1]!.refresh_at.getTime() / rows[0]!.refresh_at.getTime()).toBeGreaterThan(1);
    });
  });
});

describe("a night that is made up for by day", () => {
  const instanceId = "1101000001";
  const rate = 100;
  const dayShare = 0.1;

  beforeAll(async () => {
    stage = await openStage({
      latencyMs: 20,
      env: {
        AVATARS_RESYNC_CRON: `0 ${farHour} * * *`,
        AVATARS_RESYNC_WINDOW: `${pad(farHour)}:00-${pad(farHour + 4)}:00`,
        AVATARS_RESYNC_DAY_SHARE: String(dayShare),
      },
    });
    await addInstance(instanceId, rate, [
      ...many(1_000, "due"),
      ...many(3, "hidden", { status: "hidden", refreshAt: inDays(9), checkedAt: inDays(-40) }),
    ]);
    await stage.database.pool.query(
      `insert into avatars.resync_nights (slot_at, opened_at, prepared_at)
       select at, at, at from (select date_trunc('hour', now()) - interval '4 days' as at) s`,
    );
    await stage.startWorker();
  });

  afterAll(() => stage.close());

  test("takes only its share of the calls, and gives way to what somebody wants now", async () => {
    await eventually(() => expect(readCalls(instanceId).length).toBeGreaterThan(50));
    const calls = readCalls(instanceId).length;
    const [night, ...others] = await readRuns(instanceId);
    expect([night, others]).toMatchObject([{ kind: "night", ended_by: null }, []]);
    // It is released for 12 s ahead.
    const allowed = (Number(night?.["seconds"]) + 12) * rate * dayShare + 1;
    expect(Number(night?.["released"])).toBeLessThanOrEqual(allowed);
    expect(calls).toBeLessThanOrEqual(allowed);
    const text = await stage.run(["resync", "--now", "--where", "status=hidden", "--older-than", "30d"]);
    expect(text).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^instance 1101000001: run \d+ asks 3 contacts/),
    });
    await eventually(async () =>
      expect((await readAsked(instanceId)).filter((name) => name === "hidden")).toHaveLength(3),
    );
    expect(await readRuns(instanceId)).toMatchObject([
      { kind: "night", ended_by: "manual" },
      { kind: "manual" },
    ]);
    const { rows } = await stage.database.pool.query(
      "select from avatars.resync_nights where slot_at > now() - interval '2 days'",
    );
    expect(rows).toHaveLength(1);
  });
});
