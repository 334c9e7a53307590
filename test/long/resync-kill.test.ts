import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { expiringUrlStep, neverAskedStep, toStep } from "../../src/domain/refresh/refresh-step.ts";
import type { LoggedCall } from "../../src/simulator/world/call-log.ts";
import { createRandom } from "../../src/simulator/outcomes/random.ts";
import { eventually } from "../support/eventually.ts";
import { startLocalRedis } from "../support/redis-server.ts";
import { addResting, type RestingContact } from "../support/resync.ts";
import type { CliRun } from "../support/run-cli.ts";
import { openStage, type Stage } from "../support/stage.ts";

const dayMs = 86_400_000;
const instanceIds = ["1101000001", "1101000002"] as InstanceId[];
const kills = 10;
const rate = 250;
const latencyMs = 150;
/** Of each instance. */
const due = 2_000;
const notDue = 300;
/**
 * An answer is saved within 100 ms; the first ones of a process that has just started took 1.5 s where four times as many
 * processes wanted the cores. What counts is that the database did not have it: that is looked up after each kill.
 */
const saveMs = 5_000;

// A server of its own: it is emptied.
const redis = await startLocalRedis();

afterAll(() => redis?.close());

describe.skipIf(redis === undefined)("a night of two workers", () => {
  let stage: Stage;

  beforeAll(async () => {
    const backend = { name: "Redis" as const, open: async () => ({ REDIS_URL: redis?.url ?? "" }) };
    stage = await openStage({
      backend,
      latencyMs,
      env: {
        AVATARS_REQUESTS_PER_SECOND: String(rate),
        // Half a day away: no second night comes meanwhile.
        AVATARS_RESYNC_CRON: `0 ${(new Date().getUTCHours() + 12) % 24} * * *`,
        AVATARS_RESYNC_WINDOW: "all-day",
        // Each contact has a next time.
        AVATARS_REFRESH_INVALID: "30d",
      },
    });
    const { pool } = stage.database;
    for (const id of instanceIds) {
      await stage.addInstance(id);
      await addResting(pool, id, makeContacts());
    }
    // The last night was some days ago: the one that was missed since is made up for.
    await pool.query(
      `insert into avatars.resync_nights (slot_at, opened_at, prepared_at)
       select at, at, at from (select date_trunc('hour', now()) - interval '4 days' as at) s`,
    );
  });

  afterAll(() => stage.close());

  const readCalls = () => stage.simulator.readLog({ method: "getAvatar" });

  async function readSaved(): Promise<Set<string>> {
    const { rows } = await stage.database.pool.query<{ name: string }>(
      "select instance_id || ' ' || chat_id as name from avatars.contacts where checked_at is not null",
    );
    return new Set(rows.map(({ name }) => name));
  }

  test("killed in the middle ten times: nothing asked twice beyond calls in flight, nothing forgotten", async () => {
    const { pool } = stage.database;
    const random = createRandom(Date.now() % 1_000_000);
    const client = new Redis(redis?.url ?? "");
    const killed: Kill[] = [];
    /** Those that work; whoever is killed is replaced, which takes a while. */
    const working = new Set([await stage.startWorker(), await stage.startWorker()]);
    const replacements: Promise<void>[] = [];
    const kill = async (worker: CliRun): Promise<void> => {
      working.delete(worker);
      const from = readNow();
      worker.child.kill("SIGKILL");
      expect(await worker.ended).toMatchObject({ signal: "SIGKILL" });
      const saved = await readSaved();
      // Not before: calls of the dead may still lie unread in the simulator's sockets, as this process is the simulator's.
      killed.push({ from, until: readNow(), saved });
      replacements.push(stage.startWorker().then((started) => void working.add(started)));
    };
    while (killed.length < kills) {
      // The first one soon: the night is being opened, or prepared, or its first contacts are released.
      const calls = readCalls().length + (killed.length === 0 ? 0 : 10 + Math.floor(random() * 150));
      await eventually(() => {
        expect(readCalls().length).toBeGreaterThanOrEqual(calls);
        expect(working.size).toBeGreaterThan(0);
      });
      const victims = [...working];
      const chosen = victims[Math.floor(random() * victims.length)]!;
      await Promise.all((random() < 0.3 ? victims : [chosen]).map(kill));
      // What a dead process works on is its own for 15 s in Redis. An empty one has forgotten that, and all else; the last time
      // it has not.
      if (killed.length < kills) await client.flushall();
    }
    await Promise.all(replacements);
    client.disconnect();
    await eventually(async () => {
      const { rows } = await pool.query(
        "select from avatars.resync_runs where kind = 'night' and ended_at is not null",
      );
      expect(rows).toHaveLength(instanceIds.length);
    });

    const { rows: runs } = await pool.query(
      `select instance_id, kind, asked, due, released, left_over, ended_by from avatars.resync_runs
       where kind = 'night' order by instance_id`,
    );
    expect(runs).toEqual(
      instanceIds.map((instance_id) => ({
        instance_id,
        kind: "night",
        asked: due,
        due,
        released: due,
        left_over: 0,
        ended_by: "done",
      })),
    );
    const { rows: nights } = await pool.query(
      "select from avatars.resync_nights where slot_at > now() - interval '3 days'",
    );
    expect(nights).toHaveLength(1);
    const { rows: rest } = await pool.query(
      `select external_ref from avatars.contacts where due_at is not null or turn is not null or resync_run_id is not null
         or in_flight_epoch is not null or refresh_at <= now() or refresh_at is null and external_ref <> 'never due'
         or external_ref = 'due' and (checked_at is null or attempts <> 1)`,
    );
    expect(rest).toEqual([]);

    for (const id of instanceIds) {
      const asked = new Map<string, LoggedCall[]>();
      for (const call of readCalls().filter(({ instanceId }) => instanceId === id))
        asked.set(call.chatId, [...(asked.get(call.chatId) ?? []), call]);
      const { rows: dueOnes } = await pool.query<{ chat_id: string }>(
        "select chat_id from avatars.contacts where instance_id = $1 and external_ref = 'due' order by chat_id",
        [id],
      );
      expect([...asked.keys()].toSorted()).toEqual(dueOnes.map((row) => row.chat_id).toSorted());
      // Each call but the last one of a contact was in flight, or its answer was not saved yet, when a process was killed.
      const lost = [...asked.values()].flatMap((calls) => calls.slice(0, -1));
      const unexplained = lost.filter(
        ({ at, tookMs, chatId, outcome }) =>
          !killed.some(
            ({ from, until, saved }) =>
              // What the dead has sent is read later still where the simulator is slow: its connection is closed by then.
              (at <= until || outcome === "client-closed") &&
              at + tookMs >= from - saveMs &&
              !saved.has(`${id} ${chatId}`),
          ),
      );
      expect(unexplained).toEqual([]);
      // And none was asked again that was saved by then.
      const again = killed.flatMap(({ saved, until }) =>
        [...asked.values()].flat().filter(({ at, chatId }) => at > until && saved.has(`${id} ${chatId}`)),
      );
      expect(again).toEqual([]);
    }
  });
});

/** By the clock of the simulator's log. */
function readNow(): number {
  return performance.timeOrigin + performance.now();
}

interface Kill {
  /** When the signal was sent, and when the process was gone and all that it had sent was read. */
  readonly from: number;
  readonly until: number;
  /** Whose answer was in the database, as of a moment before `until`. */
  readonly saved: ReadonlySet<string>;
}

/** Most are due, for all the reasons that there are; some are due in a week, or never. */
function makeContacts(): RestingContact[] {
  const steps = [toStep(7 * dayMs), expiringUrlStep, neverAskedStep, toStep(30 * dayMs)];
  const at = (days: number) => new Date(Date.now() + days * dayMs);
  const make = (count: number, name: string, refreshAt: Date | null) =>
    Array.from({ length: count }, (_, index) => ({
      name,
      step: steps[index % steps.length] ?? 0,
      refreshAt,
    }));
  return [...make(due, "due", at(-3)), ...make(notDue, "not due", at(7)), ...make(9, "never due", null)];
}
