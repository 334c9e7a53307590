import type pg from "pg";
import type { ChangePage } from "../../domain/views/contact-view.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { createChangeHorizon, type HorizonOptions } from "./change-horizon.ts";
import { changeJoinsSql, toChange, toChangeColumns, type ChangeRow } from "./change-row.ts";

export type ChangeReader = (
  instanceIds: readonly InstanceId[] | undefined,
  after: number,
  limit: number,
) => Promise<ChangePage>;

/** Changes that one call looks at: some ten milliseconds, where an instance has few of them. */
const scannedAtOnce = 10_000;

/**
 * Probes for each contact, a row each (`offset 0`): a join may read all contacts. At least one row tells what was looked at.
 */
const sql = `
with scanned as materialized (
  select * from avatars.avatar_changes where id > $1 and id <= $2 order by id limit $3
), chosen as (
  select h.*, c.instance_id, c.chat_id, c.external_ref from scanned h
  cross join lateral (
    select * from avatars.contacts c
    where c.id = h.contact_id and ($4::text[] is null or c.instance_id = any ($4)) offset 0
  ) c
  order by h.id limit $5
)
select s.scanned, s.last_id, ${toChangeColumns("h")}
from (select count(*)::int as scanned, max(id) as last_id from scanned) s
left join chosen h on true
left join lateral (
  select * from avatars.avatars a where a.contact_id = h.contact_id and a.version = h.to_version offset 0
) a on true
${changeJoinsSql}
order by h.id`;

type Row = { scanned: number; last_id: string | null } & (ChangeRow | { id: null });

/**
 * Makes the reader of the feed, one for a process: its calls share the horizon of what is final. Reading on from `next`
 * misses nothing and repeats nothing, whatever order transactions commit in, and also after a restart.
 */
export function createChangeReader(pool: pg.Pool, options?: HorizonOptions): ChangeReader {
  const horizon = createChangeHorizon(pool, options);
  return async (instanceIds, after, limit) => {
    // A new horizon is needed only at the end of what is known to be final.
    const until = after < horizon.known() ? horizon.known() : await horizon.read();
    if (after >= until) return { items: [], next: after, isMore: false };
    const page = await readUntil(pool, until, instanceIds, after, limit);
    return { ...page, isMore: page.next < until || !horizon.isFresh() };
  };
}

async function readUntil(
  pool: pg.Pool,
  until: number,
  instanceIds: readonly InstanceId[] | undefined,
  after: number,
  limit: number,
): Promise<Pick<ChangePage, "items" | "next">> {
  const maxScanned = instanceIds === undefined ? limit : scannedAtOnce;
  const values = [after, until, maxScanned, instanceIds ?? null, limit];
  const { rows } = await pool.query<Row>(sql, values);
  const items = rows.filter((row) => row.id !== null).map(toChange);
  if (items.length === limit) return { items, next: items.at(-1)?.id ?? until };
  const first = rows[0];
  const isCut = first !== undefined && first.scanned >= maxScanned;
  return { items, next: isCut ? Number(first.last_id) : until };
}
