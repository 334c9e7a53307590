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

/** Images that no contact and no kept change shows, and that no trigger noted: after a restore, or where triggers were off. */
export async function findUnshownImages(pool: pg.Pool, hashes: readonly Buffer[]): Promise<Buffer[]> {
  const { rows } = await pool.query<{ sha256: Buffer }>(
    `select h.sha256 from unnest($1::bytea[]) as h (sha256)
     where not exists (select from avatars.avatars a where a.image_sha256 = h.sha256)
       and not exists (select from avatars.avatar_changes c where c.from_sha256 = h.sha256)
       and not exists (select from avatars.avatar_changes c where c.to_sha256 = h.sha256)`,
    [hashes],
  );
  return rows.map(({ sha256 }) => sha256);
}
