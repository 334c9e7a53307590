import type pg from "pg";

/** The key of the addresses of images, 32 bytes: made by the migration, the same for ever. */
export async function readImageKey(pool: pg.Pool): Promise<Buffer> {
  const { rows } = await pool.query<{ image_key: Buffer }>("select image_key from avatars.installation");
  if (rows[0] === undefined) throw new Error("avatars.installation has no row");
  return rows[0].image_key;
}

/** Whether an API serves images, and where it is reached from outside; null: by paths alone. */
export interface ServedAt {
  readonly servesImages: boolean;
  readonly publicUrl: string | null;
}

/** Tells all queries, and the view `avatars.current`, which address contacts have. */
export async function writeServedAt(pool: pg.Pool, { servesImages, publicUrl }: ServedAt): Promise<void> {
  await pool.query(
    `update avatars.installation set serves_images = $1, public_url = $2
     where (serves_images, public_url) is distinct from ($1, $2::text)`,
    [servesImages, publicUrl],
  );
}
