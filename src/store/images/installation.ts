import type pg from "pg";

/** The key of the addresses of images, 32 bytes: made by the migration, the same for ever. */
export async function readImageKey(pool: pg.Pool): Promise<Buffer> {
  const { rows } = await pool.query<{ image_key: Buffer }>("select image_key from avatars.installation");
  if (rows[0] === undefined) throw new Error("avatars.installation has no row");
  return rows[0].image_key;
}

/** Tells the view `avatars.current` where the API is reached from outside; null: not any more. */
export async function writePublicUrl(pool: pg.Pool, publicUrl: string | null): Promise<void> {
  await pool.query("update avatars.installation set public_url = $1 where public_url is distinct from $1", [
    publicUrl,
  ]);
}
