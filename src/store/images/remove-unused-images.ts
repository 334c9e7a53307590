import type pg from "pg";
import { inTransaction } from "../postgres/in-transaction.ts";

const lookedAtAtOnce = 500;

/** What rows have stopped to show, each image once. */
const listSql = `
select sha256, max(id)::float8 as through from (
  select sha256, id from avatars.images_unused where id > $1 order by id limit ${lookedAtAtOnce}) u
group by sha256`;

/** Is the image shown by no row, and by no kept change? $2: are those of changes kept? Locks it: who links it waits. */
const lockSql = `
select i.sha256 from avatars.images i
where i.sha256 = $1
  and not exists (select from avatars.avatars a where a.image_sha256 = i.sha256)
  and not ($2::boolean and (exists (select from avatars.avatar_changes h where h.from_sha256 = i.sha256)
    or exists (select from avatars.avatar_changes h where h.to_sha256 = i.sha256)))
for update of i skip locked`;

/** The second look, under the lock: a row may have linked the image before it. */
const deleteSql = `
delete from avatars.images i
where i.sha256 = $1
  and not exists (select from avatars.avatars a where a.image_sha256 = i.sha256)
returning i.sha256`;

export interface UnusedImagesPorts {
  /** Removes the bytes of the image and of its sizes. Twice is harmless. */
  readonly removeBytes: (sha256: Buffer) => Promise<void>;
  /** Images of the changes that are kept stay, too. */
  readonly keepsHistory: boolean;
}

/**
 * Removes images that no row shows any more, row and bytes, one by one. Ends early where `signal` is aborted.
 * @returns how many were removed
 */
export async function removeUnusedImages(
  pool: pg.Pool,
  { removeBytes, keepsHistory }: UnusedImagesPorts,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  for (let after = 0; !signal.aborted;) {
    const { rows } = await pool.query<{ sha256: Buffer; through: number }>(listSql, [after]);
    if (rows.length === 0) break;
    after = Math.max(...rows.map(({ through }) => through));
    for (const { sha256, through } of rows) {
      if (signal.aborted) return removed;
      if (await removeImage(pool, sha256, { removeBytes, keepsHistory })) removed += 1;
      // Notes that came later than this look are for the next one.
      await pool.query("delete from avatars.images_unused where sha256 = $1 and id <= $2", [sha256, through]);
    }
  }
  return removed;
}

/**
 * Bytes go while the image's row is locked and its removal is not committed: a process that takes the same image meanwhile waits
 * for the commit, and puts the bytes again.
 */
export async function removeImage(
  pool: pg.Pool,
  sha256: Buffer,
  { removeBytes, keepsHistory }: UnusedImagesPorts,
): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const locked = await client.query(lockSql, [sha256, keepsHistory]);
    if (locked.rowCount === 0) return false;
    const deleted = await client.query(deleteSql, [sha256]);
    if (deleted.rowCount === 0) return false;
    await removeBytes(sha256);
    return true;
  });
}
