import type pg from "pg";
import type { Actor } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { requestedStep } from "../../domain/refresh/refresh-step.ts";
import type { ManualResync, OpenedResync, RefreshFilter } from "../../domain/resync/manual-resync.ts";
import type { ResyncKind } from "../../domain/resync/resync-run.ts";
import { recordAudit } from "../audit/record-audit.ts";
import { dueCountSql, endRunsOf } from "./end-resync-run.ts";
import { lockGate } from "../postgres/gates.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { patiently, retryTransient } from "../postgres/retry-transient.ts";

/** A manual resync at a moment. */
export interface DatedResync extends ManualResync {
  readonly now: Date;
  /** A night that is under way in its window is left to it. */
  readonly isInWindow: boolean;
  /** Undefined: the product itself. */
  readonly by?: Actor;
}

/** The conditions of a filter on a contact `c`, with $2 to $4. Contacts that are due are asked anyway. */
const matchesSql = `c.due_at is null
  and ($2::text[] is null or c.status = any ($2::text[]))
  and ($3::text is null or (c.chat_id like '%@g.us') = ($3 = 'group'))
  and ($4::float8 is null or c.checked_at is null or c.checked_at < clock_timestamp() - $4 * interval '1 ms')`;

const countSql = `select count(*)::int as contacts from avatars.contacts c where c.instance_id = $1 and ${matchesSql}`;

const oldestSql = `
select c.id, c.chat_id, true as matches from avatars.contacts c where c.instance_id = $1 and ${matchesSql}
order by c.checked_at nulls first, c.id limit $5`;

const windowSql = `
select c.id, c.chat_id, ${matchesSql} as matches from avatars.contacts c
where c.instance_id = $1 and c.chat_id > $5
order by c.chat_id limit $6`;

/** Marks contacts that the filter still means when they are locked. Those that were asked for meanwhile are asked anyway. */
const markSql = `
with locked as materialized (
  select c.id from avatars.contacts c where c.id = any ($1::bigint[]) and ${matchesSql}
  order by c.id for no key update skip locked
)
update avatars.contacts c set refresh_at = $5, refresh_step = ${requestedStep}
where c.id = any (array(select id from locked))
returning c.id`;

const markedAtOnce = 5_000;

interface ContactRow {
  readonly id: string;
  readonly chat_id: string;
  readonly matches: boolean;
}

/** How many contacts of the instance a filter means. One pass over them, about a second per million: for a person. */
export async function countMatching(
  pool: pg.Pool,
  instanceId: InstanceId,
  filter: RefreshFilter,
): Promise<number> {
  const { rows } = await pool.query<{ contacts: number }>(countSql, [instanceId, ...toValues(filter)]);
  return rows[0]?.contacts ?? 0;
}

/**
 * Has an instance refreshed now: what is due, or what the filter means. The latter are marked in steps that commit, and are
 * worth more than all others then. When it is interrupted, some are marked.
 */
export async function openManualResync(pool: pg.Pool, request: DatedResync): Promise<OpenedResync> {
  const marked = request.filter && (await markAll(pool, request, request.filter));
  return retryTransient(patiently, async () => openRun(pool, request, marked));
}

async function markAll(pool: pg.Pool, request: DatedResync, filter: RefreshFilter): Promise<number> {
  const { instanceId, mostContacts, now } = request;
  const values = [instanceId, ...toValues(filter)];
  let marked = 0;
  /** Locked by others, or due by now. */
  let left: string[] = [];
  const markIds = async (all: readonly string[]) => {
    for (let at = 0; at < all.length; at += markedAtOnce) {
      const ids = all.slice(at, at + markedAtOnce);
      const { rows } = await retryTransient(patiently, async () =>
        pool.query<{ id: string }>(markSql, [ids, ...toValues(filter), now]),
      );
      marked += rows.length;
      const done = new Set(rows.map(({ id }) => id));
      left.push(...ids.filter((id) => !done.has(id)));
    }
  };
  const mark = async (rows: readonly ContactRow[]) =>
    markIds(rows.flatMap(({ id, matches }) => (matches ? [id] : [])));
  /**
   * A transaction that enqueues a contact holds it for a while, and has it asked. One that rolls back may have done so by
   * now.
   */
  const markLeft = async () => {
    const ids = left;
    left = [];
    await markIds(ids);
  };
  if (mostContacts !== undefined) {
    const { rows } = await pool.query<ContactRow>(oldestSql, [...values, mostContacts]);
    await mark(rows);
    await markLeft();
    return marked;
  }
  for (let after = ""; ;) {
    const { rows } = await pool.query<ContactRow>(windowSql, [...values, after, markedAtOnce]);
    await mark(rows);
    const last = rows.at(-1);
    if (last === undefined || rows.length < markedAtOnce) break;
    after = last.chat_id;
  }
  await markLeft();
  return marked;
}

async function openRun(
  pool: pg.Pool,
  request: DatedResync,
  marked: number | undefined,
): Promise<OpenedResync> {
  return inTransaction(pool, async (client) => {
    const opened = await openRunWithin(client, request, marked);
    const { instanceId, runId, kind, contacts } = opened;
    await recordAudit(client, request.by, {
      action: "resync.opened",
      subjectId: String(runId),
      instanceId,
      detail: { kind, contacts, filtered: marked !== undefined },
    });
    return opened;
  });
}

async function openRunWithin(
  client: pg.PoolClient,
  { instanceId, mostContacts, now, isInWindow }: DatedResync,
  marked: number | undefined,
): Promise<OpenedResync> {
  // The lock is first: later statements see a night that another process has just opened.
  await lockGate(client, "opening runs");
  const { rows: open } = await client.query<{ id: number; kind: ResyncKind }>(
    // Not locked: what follows counts for seconds, and all who save answers would wait for the run meanwhile.
    `select id::float8 as id, kind from avatars.resync_runs where instance_id = $1 and ended_at is null`,
    [instanceId],
  );
  const { rows: counts } = await client.query<{ due: number }>(
    `select ${dueCountSql("$1::text", "$2::timestamptz")} as due`,
    [instanceId, now],
  );
  const due = marked ?? counts[0]?.due ?? 0;
  const contacts = Math.min(due, mostContacts ?? Infinity);
  const night = open.find(({ kind }) => kind === "night");
  // A night that is made up for by day goes at the share of the day, and "now" does not.
  if (night && isInWindow) return { instanceId, runId: night.id, kind: night.kind, contacts };
  await endRunsOf(client, [instanceId], now, "manual");
  const { rows } = await client.query<{ id: number }>(
    `insert into avatars.resync_runs
         (instance_id, kind, opened_at, next_release_at, requested_only, most_contacts, due, planned)
       values ($1, 'manual', $2, $2, $3, $4, $5, $6) returning id::float8 as id`,
    [instanceId, now, marked !== undefined, marked === undefined ? mostContacts : null, due, contacts],
  );
  return { instanceId, runId: rows[0]!.id, kind: "manual", contacts };
}

function toValues({ statuses, kind, olderThanMs }: RefreshFilter) {
  return [statuses ?? null, kind ?? null, olderThanMs ?? null];
}
