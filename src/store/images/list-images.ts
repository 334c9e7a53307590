import type pg from "pg";
import type { ImageFacts, ImageType } from "../../domain/images/image.ts";

const sql = `
select sha256, type, bytes, width, height from avatars.images where sha256 > $1 order by sha256 limit 1000`;

/** All images that rows tell of, in the order of their hashes, some at a time. */
export async function* listImages(pool: pg.Pool): AsyncGenerator<readonly ImageFacts[]> {
  for (let after: Buffer = Buffer.alloc(0); ;) {
    const { rows } = await pool.query<{
      sha256: Buffer;
      type: ImageType;
      bytes: number;
      width: number;
      height: number;
    }>(sql, [after]);
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    after = last.sha256;
  }
}

/** Which of these hashes have no row. */
export async function findUnknownImages(pool: pg.Pool, hashes: readonly Buffer[]): Promise<Buffer[]> {
  const { rows } = await pool.query<{ sha256: Buffer }>(
    `select h.sha256 from unnest($1::bytea[]) as h (sha256)
     where not exists (select from avatars.images i where i.sha256 = h.sha256)`,
    [hashes],
  );
  return rows.map(({ sha256 }) => sha256);
}

/**
 * Which of these hashes have a row. Waits for removals that are not committed yet: their bytes are gone already, and their rows
 * will be.
 */
export async function findStandingImages(pool: pg.Pool, hashes: readonly Buffer[]): Promise<Buffer[]> {
  const { rows } = await pool.query<{ sha256: Buffer }>(
    "select sha256 from avatars.images where sha256 = any ($1::bytea[]) order by sha256 for key share",
    [hashes],
  );
  return rows.map(({ sha256 }) => sha256);
}

/** An image that no contact and no kept change shows. */
export interface UnshownImage {
  readonly sha256: Buffer;
  /** A trigger noted it: a worker removes it soon. Others are left from a restore, or from where triggers were off. */
  readonly isNoted: boolean;
}

/** Which of these hashes are shown by no contact and no kept change. */
export async function findUnshownImages(pool: pg.Pool, hashes: readonly Buffer[]): Promise<UnshownImage[]> {
  const { rows } = await pool.query<{ sha256: Buffer; is_noted: boolean }>(
    `select h.sha256, exists (select from avatars.images_unused u where u.sha256 = h.sha256) as is_noted
     from unnest($1::bytea[]) as h (sha256)
     where not exists (select from avatars.avatars a where a.image_sha256 = h.sha256)
       and not exists (select from avatars.avatar_changes c where c.from_sha256 = h.sha256)
       and not exists (select from avatars.avatar_changes c where c.to_sha256 = h.sha256)`,
    [hashes],
  );
  return rows.map(({ sha256, is_noted: isNoted }) => ({ sha256, isNoted }));
}
