import type pg from "pg";
import type { BatchImages } from "../../domain/views/batch-images.ts";

const sql = `
select case when a.version is not null and a.image_version is distinct from a.version then coalesce(a.image_error, 'not-tried') end
    as missing,
  count(*)::float8 as contacts,
  count(*) filter (where a.image_wanted_at is not null)::float8 as wanted,
  count(*) filter (where a.image_sha256 is not null)::float8 as shown
from avatars.batch_members m join avatars.avatars a on a.contact_id = m.contact_id
where m.batch_id = $1
group by 1 order by 2 desc, 1`;

/** Counts through all members: a second per million or so. For a person who waits. */
export async function countBatchImages(pool: pg.Pool, batchId: string): Promise<BatchImages> {
  const { rows } = await pool.query<{
    missing: string | null;
    contacts: number;
    wanted: number;
    shown: number;
  }>(sql, [batchId]);
  return {
    wanted: rows.reduce((sum, { wanted }) => sum + wanted, 0),
    shown: rows.reduce((sum, { shown }) => sum + shown, 0),
    missing: Object.fromEntries(
      rows.flatMap(({ missing, contacts }) => (missing === null ? [] : [[missing, contacts]])),
    ),
  };
}
