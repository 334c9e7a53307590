import type pg from "pg";
import type { WantedImage } from "../../domain/images/image-taking.ts";

/** Tries that are under way are not taken by another process for so long; longer than one may last. */
const claimedMs = 60_000;

/** Those that have waited for longest first. Rows that are being written are passed over. */
const sql = `
with due as materialized (
  select contact_id from avatars.avatars
  where image_wanted_at <= clock_timestamp()
  order by image_wanted_at limit $1
  for no key update skip locked
)
update avatars.avatars a set image_wanted_at = clock_timestamp() + interval '${claimedMs} ms'
from due where a.contact_id = due.contact_id and a.version is not null
returning a.contact_id::float8 as contact_id, a.version, a.url, a.url_expires_at, a.image_attempts`;

/**
 * Claims images that are to be taken now: what a process left that was killed, what had no room, what failed before.
 * @param limit at most so many
 */
export async function claimWantedImages(pool: pg.Pool, limit: number): Promise<WantedImage[]> {
  const { rows } = await pool.query<{
    contact_id: number;
    version: string;
    url: string | null;
    url_expires_at: Date | null;
    image_attempts: number;
  }>({ name: "claim-wanted-images", text: sql, values: [limit] });
  return rows.map((row) => ({
    contactId: row.contact_id,
    version: row.version,
    url: row.url ?? undefined,
    urlExpiresAt: row.url_expires_at ?? undefined,
    attempts: row.image_attempts,
  }));
}
