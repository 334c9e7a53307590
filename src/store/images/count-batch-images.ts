import type pg from "pg";
import type { BatchImages } from "../../domain/views/batch-images.ts";

const sql = `
select count(*) filter (where a.image_wanted_at is not null)::float8 as wanted,
  count(*) filter (where a.image_sha256 is not null)::float8 as shown
from avatars.batch_members m join avatars.avatars a on a.contact_id = m.contact_id
where m.batch_id = $1`;

/** Counts through all members: a second per million or so. For a person who waits. */
export async function countBatchImages(pool: pg.Pool, batchId: string): Promise<BatchImages> {
  const { rows } = await pool.query<BatchImages>(sql, [batchId]);
  return rows[0] ?? { wanted: 0, shown: 0 };
}
