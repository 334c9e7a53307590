import type pg from "pg";
import type { InstanceId } from "../../domain/instance-id.ts";
import type {
  LatestRuns,
  ResyncEnd,
  ResyncKind,
  ResyncNight,
  ResyncRun,
  RunFilter,
  RunPage,
} from "../../domain/resync/resync-run.ts";

const columns = `r.id::float8 as id, r.instance_id, r.kind, r.night_at, r.opened_at, r.ended_at, r.ended_by, r.due, r.planned,
  r.asked, r.changed, r.throttled, r.left_over,
  (select count(*)::int from avatars.contacts c where c.resync_run_id = r.id) as under_way`;

interface Row {
  readonly id: number;
  readonly instance_id: InstanceId;
  readonly kind: ResyncKind;
  readonly night_at: Date | null;
  readonly opened_at: Date;
  readonly ended_at: Date | null;
  readonly ended_by: ResyncEnd | null;
  readonly due: number | null;
  readonly planned: number | null;
  readonly asked: number;
  readonly changed: number;
  readonly throttled: number;
  readonly left_over: number | null;
  readonly under_way: number;
}

/** The newest first. An open run counts what it has under way; of one that is over that is little or nothing. */
export async function listResyncRuns(
  pool: pg.Pool,
  { instanceIds, kind }: RunFilter,
  { after, limit }: { readonly after: number | undefined; readonly limit: number },
): Promise<RunPage> {
  const { rows } = await pool.query<Row>(
    `select ${columns} from avatars.resync_runs r
     where ($1::bigint is null or r.id < $1) and ($2::text[] is null or r.instance_id = any ($2))
       and ($3::text is null or r.kind = $3)
     order by r.id desc limit $4`,
    [after, instanceIds ?? null, kind, limit + 1],
  );
  const items = rows.slice(0, limit).map(toRun);
  return { items, next: rows.length > limit ? items.at(-1)?.id : undefined };
}

const latestSql = `
select ${columns}
from avatars.instances i
cross join lateral (
  (select * from avatars.resync_runs r where r.instance_id = i.id and r.ended_at is null)
  union all
  (select * from avatars.resync_runs r
   where r.instance_id = i.id and r.night_at is not null and r.ended_at is not null order by r.night_at desc limit 1)
  union all
  (select * from avatars.resync_runs r
   where r.instance_id = i.id and r.kind = 'manual' and r.ended_at is not null order by r.id desc limit 1)
) r
where $1::text is null or i.id = $1
order by i.id, r.id`;

const noRuns: LatestRuns = { open: undefined, lastNight: undefined, lastManual: undefined };

/** The latest runs of all instances, or of one. */
export async function findLatestRuns(pool: pg.Pool, only?: InstanceId): Promise<Map<InstanceId, LatestRuns>> {
  const { rows } = await pool.query<Row>(latestSql, [only]);
  const latest = new Map<InstanceId, LatestRuns>();
  for (const run of rows.map(toRun)) {
    const known = latest.get(run.instanceId) ?? noRuns;
    if (run.endedAt === undefined) latest.set(run.instanceId, { ...known, open: run });
    else if (run.kind === "manual") latest.set(run.instanceId, { ...known, lastManual: run });
    else latest.set(run.instanceId, { ...known, lastNight: run });
  }
  return latest;
}

/** The last night that was opened; undefined: none yet. The first row only says since when they count. */
export async function findLatestNight(pool: pg.Pool): Promise<ResyncNight | undefined> {
  const { rows } = await pool.query<NightRow>(
    `select * from avatars.resync_nights n
     where n.prepared_at is null or exists (select from avatars.resync_runs r where r.night_at = n.slot_at)
     order by n.slot_at desc limit 1`,
  );
  return rows[0] && toNight(rows[0]);
}

interface NightRow {
  readonly slot_at: Date;
  readonly opened_at: Date;
  readonly prepared_at: Date | null;
  readonly source_added: number | null;
  readonly source_gone: number | null;
  readonly source_rejected: number | null;
  readonly source_error: string | null;
}

function toNight(row: NightRow): ResyncNight {
  return {
    slotAt: row.slot_at,
    openedAt: row.opened_at,
    preparedAt: row.prepared_at ?? undefined,
    source:
      row.source_added === null
        ? undefined
        : {
            added: row.source_added,
            gone: row.source_gone ?? 0,
            rejected: row.source_rejected ?? 0,
            error: row.source_error ?? undefined,
          },
  };
}

function toRun(row: Row): ResyncRun {
  return {
    id: row.id,
    instanceId: row.instance_id,
    kind: row.kind,
    nightAt: row.night_at ?? undefined,
    openedAt: row.opened_at,
    endedAt: row.ended_at ?? undefined,
    endedBy: row.ended_by ?? undefined,
    due: row.due ?? undefined,
    planned: row.planned ?? undefined,
    asked: row.asked,
    underWay: row.under_way,
    changed: row.changed,
    throttled: row.throttled,
    leftOver: row.left_over ?? undefined,
  };
}
