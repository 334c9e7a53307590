import type pg from "pg";
import {
  decideRelease,
  followRelease,
  type ReleaseDecision,
  type ReleasedCount,
  type ReleaseFacts,
} from "../../domain/resync/decide-release.ts";
import { findCarePause } from "../../domain/care/care-pause.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { agedShare, requestedStep } from "../../domain/refresh/refresh-step.ts";
import type { ResyncEnd, ResyncKind } from "../../domain/resync/resync-run.ts";
import { endRunSql } from "./end-resync-run.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { hasRefreshSql, toIntervalSeconds, toStepsTable } from "./refresh-sql.ts";
import { readCareFacts, toCareFacts, toCareState, type CareJson } from "../work/care-sql.ts";
import { toCallsAllowed } from "../work/pace-sql.ts";

/** A resync is less urgent than all that a batch waits for. */
const resyncPriority = 2;

/**
 * The run, locked. A process that has it locked already is at work on it. A run that another process has just seen to is left
 * alone.
 */
const lockSql = `
select r.id, r.kind, r.instance_id, r.ends_at, r.requested_only, r.most_contacts, r.released, r.next_release_at,
  i.state, i.state = 'held' and i.held_until <= $3 and i.allowed_chat_ids is null as may_be_probed,
  ${toCallsAllowed("i", "$2", "$3::timestamptz")} as calls_per_second, i.resync_share, i.resync_day_share,
  i.turns[${resyncPriority + 1}] as turn, ${toCareFacts("q")} as care
from avatars.resync_runs r join avatars.instances i on i.id = r.instance_id
cross join lateral ${toCareState("$3::timestamptz")} q
where r.id = $1 and r.ended_at is null and r.next_release_at <= $4
for no key update of r skip locked`;

/** Contacts wait whose turns have not come: `$2` is the last one that has. */
const underWaySql = `
select count(*)::int as under_way, count(*) filter (where c.turn > $2 and c.in_flight_epoch is null)::int as waiting,
  max(c.turn) as turn
from avatars.contacts c where c.resync_run_id = $1`;

/**
 * Makes the contacts due that are worth most. First come those of the lowest step below 0, then those that are latest
 * relative to their intervals. A share is always for the latter. Of each step only the oldest come into question, which the
 * index has in order. Their turns come behind those that the run has given already, beside other demand of their priority. A
 * contact that was asked for meanwhile is left out.
 */
const releaseSql = `
with recursive ${toStepsTable("$1")}, heads as (
  select c.id, least(s.step, 0) as rank,
    extract(epoch from $3::timestamptz - c.refresh_at)::float8
      / case when s.step < 0 then 1 else ${toIntervalSeconds("s.step")} end as lateness
  from steps s
  cross join lateral (
    select c.id, c.refresh_at from avatars.contacts c
    where c.instance_id = $1 and ${hasRefreshSql} and c.refresh_step = s.step and c.refresh_at <= $3
    order by c.refresh_at, c.id
    limit $2
  ) c
  where s.step is not null and ($6 or s.step <= ${requestedStep})
), chosen as (
  select id, rank, lateness
  from (select *, row_number() over (partition by rank order by lateness desc, id) as age_place from heads) h
  order by rank = 0 and age_place <= floor($2 * ${agedShare}) desc, rank, lateness desc, id limit $2
), picked as materialized (
  select id, row_number() over (order by rank, lateness desc, id) as place from chosen
), locked as materialized (
  select c.id from avatars.contacts c
  where c.id = any (array(select id from picked)) and ${hasRefreshSql}
  order by c.id for no key update skip locked
), released as (
  update avatars.contacts c
  set due_at = $3, priority = ${resyncPriority}, turn = $5 + p.place, attempts = 0, resync_run_id = $4
  from picked p
  -- The ids are an array: a join would have the planner, which cannot know the limits, read the whole table.
  where c.id = any (array(select id from locked)) and p.id = c.id
  returning 1
), arrived as (
  insert into avatars.arrivals (instance_id, priority, turn)
  select $1, ${resyncPriority}, $5::bigint + 1 where exists (select from released)
)
select (select count(*) from picked)::int as found, (select count(*) from released)::int as released`;

const moveSql = `
update avatars.resync_runs set released = released + $2, next_release_at = $3 where id = $1`;

interface RunRow {
  readonly id: string;
  readonly kind: ResyncKind;
  readonly instance_id: InstanceId;
  readonly ends_at: Date | null;
  readonly requested_only: boolean;
  readonly most_contacts: number | null;
  readonly released: number;
  readonly next_release_at: Date;
  readonly state: ReleaseFacts["instanceState"];
  readonly may_be_probed: boolean;
  readonly calls_per_second: number;
  readonly resync_share: number | null;
  readonly resync_day_share: number | null;
  readonly turn: string;
  readonly care: CareJson | null;
}

interface UnderWay {
  readonly under_way: number;
  readonly waiting: number;
  readonly turn: string | null;
}

/** The shares of instances that set none: within the window, and by day. */
export interface Shares {
  readonly share: number;
  readonly dayShare: number;
}

export interface ReleaseRequest {
  readonly runId: number;
  readonly now: Date;
  readonly isInWindow: boolean;
  readonly shares: Shares;
  /** Calls per second of instances that set none. */
  readonly defaultRate: number;
  /** A run is seen to when its next release is no further ahead than this, ms. */
  readonly leadMs: number;
}

export interface Release {
  readonly instanceId: InstanceId;
  readonly kind: ResyncKind;
  /** Contacts that are due now. */
  readonly released: number;
  /** The run is over. */
  readonly endedBy: ResyncEnd | undefined;
}

/**
 * Makes as many contacts of a run due as may be called in the next seconds, or ends it. One transaction. Undefined: another
 * process has seen to it.
 */
export async function releaseRefreshes(pool: pg.Pool, request: ReleaseRequest): Promise<Release | undefined> {
  return inTransaction(pool, async (client) => releaseSome(client, request));
}

async function releaseSome(client: pg.PoolClient, request: ReleaseRequest): Promise<Release | undefined> {
  const { runId, now, defaultRate, leadMs } = request;
  const until = new Date(now.getTime() + leadMs);
  const { rows: runs } = await client.query<RunRow>(lockSql, [runId, defaultRate, now, until]);
  const run = runs[0];
  if (run === undefined) return undefined;
  const { rows } = await client.query<UnderWay>(underWaySql, [runId, run.turn]);
  const underWay = rows[0]!;
  const facts = toFacts(run, underWay, request);
  const decision = decideRelease(facts, now.getTime());
  const { instance_id: instanceId, kind } = run;
  const end = async (by: ResyncEnd, released = 0): Promise<Release> => {
    await client.query(endRunSql, [run.id, now, by]);
    return { instanceId, kind, released, endedBy: by };
  };
  if (decision.kind === "end") return end(decision.by);
  if (decision.kind === "wait") {
    await client.query(moveSql, [run.id, 0, new Date(decision.untilMs + leadMs)]);
    return { instanceId, kind, released: 0, endedBy: undefined };
  }
  const base = Math.max(Number(run.turn), Number(underWay.turn ?? 0));
  const count = await release(client, run, decision, now, base);
  const next = followRelease(facts, decision, count, now.getTime());
  if (next.kind === "end") return end(next.by);
  const { released } = count;
  await client.query(moveSql, [run.id, released, new Date(next.nextReleaseAtMs)]);
  return { instanceId, kind, released, endedBy: undefined };
}

async function release(
  client: pg.PoolClient,
  run: RunRow,
  { limit }: Extract<ReleaseDecision, { kind: "release" }>,
  now: Date,
  base: number,
): Promise<ReleasedCount> {
  const values = [run.instance_id, limit, now, run.id, base, !run.requested_only];
  const { rows } = await client.query<ReleasedCount>({ name: "release-refreshes", text: releaseSql, values });
  return rows[0]!;
}

function toFacts(run: RunRow, underWay: UnderWay, { isInWindow, shares, now }: ReleaseRequest): ReleaseFacts {
  const share = run.resync_share ?? shares.share;
  const dayShare = run.resync_day_share ?? shares.dayShare;
  return {
    kind: run.kind,
    endsAt: run.ends_at ?? undefined,
    mostContacts: run.most_contacts ?? undefined,
    released: run.released,
    underWay: underWay.under_way,
    waiting: underWay.waiting,
    nextReleaseAt: run.next_release_at,
    instanceState: run.state,
    mayBeProbed: run.may_be_probed,
    isCarePaused: findCarePause(readCareFacts(run.care), now) !== undefined,
    callsPerSecond: run.calls_per_second,
    // A person who says "now" means it.
    share: isInWindow || run.kind === "manual" ? share : dayShare,
  };
}
