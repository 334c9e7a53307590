import type pg from "pg";
import { total } from "../../src/domain/resync/plan-resync.ts";
import { createResyncs } from "../../src/app/subjects/resyncs.ts";
import { countRefreshes } from "../../src/store/resync/count-refreshes.ts";
import { findReleasableRuns, openTrickles } from "../../src/store/resync/find-releasable-runs.ts";
import {
  beginNights,
  findLastNightAt,
  openNight,
  prepareNight,
  readClock,
} from "../../src/store/resync/resync-nights.ts";
import { createSamples, type Summary } from "./samples.ts";
import { releaseOnce } from "./measure-reads.ts";
import type { Stage } from "./stage.ts";

const dayMs = 86_400_000;
const deadlineMs = 600_000;
const times = 3;

export interface PlanningFigures {
  readonly name: string;
  /** The share of the pages of `contacts` that the index alone is not enough for. */
  readonly unseenShare: number;
  /** `countRefreshes` of all instances. */
  readonly counts: Summary;
  /** The whole plan. */
  readonly plans: Summary;
  readonly due: number;
}

/** Needs the extension `pg_visibility`. */
export async function measurePlanning(stage: Stage, name: string): Promise<PlanningFigures> {
  const { database } = stage;
  const [counts, plans] = [createSamples(), createSamples()];
  let due = 0;
  const unseenShare = await readUnseenShare(database.pool);
  for (let n = 0; n < times; n += 1) {
    const now = await readClock(database.pool);
    const moments = { now, from: now, until: new Date(now.getTime() + dayMs / 6) };
    await counts.time(() => countRefreshes(database.pool, moments, { deadlineMs }));
    const { instances } = await plans.time(() => planNow(stage));
    due = instances.reduce((sum, { dueNow }) => sum + total(dueNow), 0);
  }
  return { name, unseenShare, counts: counts.summarize(), plans: plans.summarize(), due };
}

async function planNow({ base, database }: Stage) {
  return createResyncs({ config: base.config, quick: database, lasting: database }).plan();
}

async function readUnseenShare(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ share: number }>(
    `select 1 - all_visible::float8 / (pg_relation_size('avatars.contacts') / current_setting('block_size')::int) as share
     from pg_visibility_map_summary('avatars.contacts')`,
  );
  return rows[0]?.share ?? Number.NaN;
}

export interface NightFigures {
  readonly openedMs: number;
  readonly preparedMs: number;
  /** Of the first contacts of each run, with nothing beside. */
  readonly releases: Summary;
  readonly released: number;
}

/** Opens a night for all instances, prepares it as a worker does, and lets each of its runs release for the first time. */
export async function measureNight(stage: Stage): Promise<NightFigures> {
  const { pool } = stage.database;
  const now = await readClock(pool);
  const lastNightAt = new Date(now.getTime() - dayMs);
  await beginNights(pool, lastNightAt, lastNightAt);
  await openTrickles(pool, now, 1);
  const [prepared, releases] = [createSamples(), createSamples()];
  const openedMs = await openNextNight(stage);
  await prepared.time(() =>
    prepareNight(pool, async () => {
      const { instances } = await planNow(stage);
      const plans = instances.map(({ instanceId, due, fits }) => ({
        instanceId,
        due: total(due),
        planned: fits,
      }));
      return { source: undefined, plans };
    }),
  );
  let released = 0;
  const releasedAt = await readClock(pool);
  for (const runId of await findReleasableRuns(pool, releasedAt)) {
    const release = await releases.time(() => releaseOnce({ base: stage.base, pool }, runId, releasedAt, 1));
    released += release?.released ?? 0;
  }
  return {
    openedMs,
    preparedMs: prepared.summarize().maxMs,
    releases: releases.summarize(),
    released,
  };
}

/** Opens a night for all instances, which ends all runs that are open. Returns how long it took, ms. */
export async function openNextNight({ database: { pool } }: Stage): Promise<number> {
  const opened = createSamples();
  const [now, lastNightAt] = [await readClock(pool), await findLastNightAt(pool)];
  const night = { slotAt: now, lastNightAt: lastNightAt!, now, endsAt: undefined };
  if (!(await opened.time(() => openNight(pool, night)))) throw new Error("the night was not opened");
  return opened.summarize().maxMs;
}

const openRunsSql = `
select r.id::float8 as id, r.instance_id from avatars.resync_runs r where r.ended_at is null order by r.id`;

/** What one release takes at a time here, and one read, and one save. */
const atOnce = 500;
/** A release is for twelve seconds. */
const releaseSeconds = 12;

/** Refreshes so many contacts of all instances, as workers do but in larger bites. Returns how many. */
export async function refreshMany(stage: Stage, contacts: number): Promise<number> {
  const { database, base, ledger } = stage;
  const { rows } = await database.pool.query<{ id: number; instance_id: Stage["instanceIds"][number] }>(
    openRunsSql,
  );
  const startedAt = (await readClock(database.pool)).getTime();
  const refreshSome = async (n: number): Promise<number> => {
    const run = rows[n % rows.length]!;
    // By a clock that runs ahead, or a run would have to wait.
    const now = new Date(startedAt + (Math.floor(n / rows.length) + 1) * 2 * releaseSeconds * 1000);
    await releaseOnce({ base, pool: database.pool }, run.id, now, 1, atOnce / releaseSeconds);
    const due = await stage.readDue(run.instance_id, atOnce);
    await ledger.saveLookups(stage.answer(due, Date.now()));
    return due.length;
  };
  const bites = Array.from({ length: Math.ceil(contacts / atOnce) }, (_, n) => n);
  const work = async () => {
    let refreshed = 0;
    for (let n = bites.shift(); n !== undefined; n = bites.shift()) refreshed += await refreshSome(n);
    return refreshed;
  };
  const [one, other] = await Promise.all([work(), work()]);
  return one + other;
}
