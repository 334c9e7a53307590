import type pg from "pg";

/**
 * Avatars whose image was never wanted, because no images were kept when they were seen. Walks the rows by contact id, so many at
 * once; what it wants is to be taken at once, or asked for again where the URL has died meanwhile.
 */
const wantMissingSql = `
with looked as materialized (
  select contact_id, version is not null and image_sha256 is null and image_wanted_at is null and image_error is null as is_missing
  from avatars.avatars where contact_id > $1 order by contact_id limit $2
), free as materialized (
  select contact_id from avatars.avatars
  where contact_id = any (array(select contact_id from looked where is_missing))
  order by contact_id for no key update skip locked
), wanted as (
  update avatars.avatars a set image_wanted_at = clock_timestamp()
  from free where a.contact_id = free.contact_id
    and a.version is not null and a.image_sha256 is null and a.image_wanted_at is null and a.image_error is null
  returning 1
)
select (select max(contact_id) from looked)::float8 as last_id, (select count(*) from wanted)::int as wanted`;

const lookedAtAtOnce = 2_000;

/**
 * Wants the images that are missing among the next contacts after `afterId`.
 * @returns the last contact that was looked at; undefined: there was none
 */
export async function wantMissingImages(
  pool: pg.Pool,
  afterId: number,
): Promise<{ readonly lastId: number | undefined; readonly wanted: number }> {
  const { rows } = await pool.query<{ last_id: number | null; wanted: number }>({
    name: "want-missing-images",
    text: wantMissingSql,
    values: [afterId, lookedAtAtOnce],
  });
  return { lastId: rows[0]?.last_id ?? undefined, wanted: rows[0]?.wanted ?? 0 };
}

/**
 * The bytes of an image are gone, though rows show it: it is taken again, or asked for where its URL is dead. It is of no version
 * until then, so that an answer with the same version wants it, too.
 */
const wantAgainSql = `
update avatars.avatars set image_wanted_at = clock_timestamp(), image_attempts = 0, image_version = null
where image_sha256 = $1 and image_wanted_at is null`;

/** Wants an image again whose bytes are lost. @returns the contacts that show it */
export async function wantLostImage(pool: pg.Pool, sha256: Buffer): Promise<number> {
  const { rowCount } = await pool.query(wantAgainSql, [sha256]);
  return rowCount ?? 0;
}
